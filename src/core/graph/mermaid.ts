import { type Look, type Picture, type PictureOptions, pictureOf } from './picture.ts';
import type { ResourceGraph } from './resource-graph.ts';

// What Mermaid draws without a change of its settings.
const LIMITS = { resources: 500, edges: 500 };
const LONGEST_TEXT = 50_000;

// Fill and stroke, with dark text on it: readable in light and dark themes.
const STYLES: Readonly<Record<Exclude<Look, 'plain'>, string>> = {
  failed: 'fill:#ffd7d5,stroke:#cf222e,stroke-width:3px,color:#1f2328',
  stopped: 'fill:#ecd8ff,stroke:#8250df,stroke-dasharray:6 3,color:#1f2328',
  running: 'fill:#cfe8ff,stroke:#0969da,stroke-width:2px,color:#1f2328',
  pending: 'fill:#eaeef2,stroke:#57606a,stroke-dasharray:3 3,color:#1f2328',
  skipped: 'fill:#fff1c2,stroke:#9a6700,stroke-dasharray:6 3,color:#1f2328',
  done: 'fill:#cdf5d5,stroke:#1a7f37,color:#1f2328',
  other: 'fill:#eaeef2,stroke:#57606a,color:#1f2328',
};

/**
 * A graph as a Mermaid flowchart, from dependants to what they depend on. Each resource is a node with its name,
 * type, id where that is not the name, and state; the classes failed, stopped, running, pending, skipped, done and
 * other colour the states. A graph that is more than Mermaid draws (500 resources or edges, 50,000 characters) is
 * summarised: a node is a type, with the number of resources in each state. Equal graphs give equal text.
 */
export function toMermaid(graph: ResourceGraph, options: PictureOptions = {}): string {
  const text = write(pictureOf(graph, options, LIMITS));
  return text.length <= LONGEST_TEXT ? text : write(pictureOf(graph, options, { resources: 0, edges: 0 }));
}

function write({ nodes, edges, description }: Picture): string {
  const looks = new Set(nodes.map(({ look }) => look));
  const lines = [
    'flowchart LR',
    '  accTitle: Resource graph',
    `  accDescr: ${description}`,
    ...nodes.map(({ lines, look }, at) => {
      const state = look === 'plain' ? '' : `:::${look}`;
      return `  n${at}["${lines.map(escapeText).join('<br/>')}"]${state}`;
    }),
    ...edges.map(([from, to]) => `  n${from} --> n${to}`),
    ...Object.entries(STYLES).flatMap(([look, style]) =>
      looks.has(look as Look) ? `  classDef ${look} ${style}` : [],
    ),
  ];
  return `${lines.join('\n')}\n`;
}

// Mermaid reads labels as Markdown and HTML, with entities like #35; for any character. All that could mean something
// to it is written so; hyphens and underscores inside words mean nothing.
const SPECIAL = /(?<![\p{L}\p{N}])[-_]|[-_](?![\p{L}\p{N}])|[^\p{L}\p{M}\p{N} _-]/gu;

// Formulas ($$) and icons (fa:fa-name) it finds even so, after it has read the entities: these are kept apart by a
// character that is not seen.
const FOUND_IN_SPITE = /\$(?=\$)|:(?=fa-)/g;

const escapeText = (text: string): string =>
  text.replace(FOUND_IN_SPITE, '$&\u200c').replace(SPECIAL, (letter) => `#${letter.codePointAt(0)};`);
