import { type Box, type Curve, layoutOf, NODE_WIDTH } from './layout.ts';
import { type Look, type PictureNode, type PictureOptions, pictureOf } from './picture.ts';
import type { ResourceGraph } from './resource-graph.ts';

const LIMITS = { resources: 500, edges: 2_000 };
const LINE_HEIGHT = 18;
const PADDING = 10;

const ROOT = 'xmlns="http://www.w3.org/2000/svg" class="fafnir-graph" role="graphics-document document"';

interface Colours {
  readonly ground: string;
  readonly text: string;
  readonly edge: string;
  readonly looks: Readonly<Record<Look, readonly [fill: string, stroke: string]>>;
}

const LIGHT: Colours = {
  ground: '#ffffff',
  text: '#1f2328',
  edge: '#818b98',
  looks: {
    failed: ['#ffebe9', '#cf222e'],
    stopped: ['#fbefff', '#8250df'],
    running: ['#ddf4ff', '#0969da'],
    pending: ['#f6f8fa', '#59636e'],
    skipped: ['#fff8c5', '#9a6700'],
    done: ['#dafbe1', '#1a7f37'],
    other: ['#f6f8fa', '#59636e'],
    plain: ['#ffffff', '#59636e'],
  },
};

const DARK: Colours = {
  ground: '#0d1117',
  text: '#f0f6fc',
  edge: '#7d8590',
  looks: {
    failed: ['#4a1418', '#ff7b72'],
    stopped: ['#321b5c', '#bc8cff'],
    running: ['#0c2d5a', '#58a6ff'],
    pending: ['#212830', '#9198a1'],
    skipped: ['#3b2c00', '#d29922'],
    done: ['#0f3a1d', '#3fb950'],
    other: ['#212830', '#9198a1'],
    plain: ['#151b23', '#9198a1'],
  },
};

// Every rule is below the class of the picture, so that inside a page it touches nothing else.
const STYLE = `${rulesOf(LIGHT)}
.fafnir-graph text{font:13px system-ui,sans-serif}
.fafnir-graph .title{font-weight:600}
.fafnir-graph rect{stroke-width:1.5}
.fafnir-graph .failed rect{stroke-width:3}
.fafnir-graph .pending rect,.fafnir-graph .skipped rect,.fafnir-graph .stopped rect{stroke-dasharray:6 3}
.fafnir-graph path{fill:none;stroke-width:1.25}
@media (prefers-color-scheme:dark){
${rulesOf(DARK)}
}`;

function rulesOf({ ground, text, edge, looks }: Colours): string {
  return [
    `.fafnir-graph .ground{fill:${ground};stroke:none}`,
    `.fafnir-graph text{fill:${text}}`,
    `.fafnir-graph path{stroke:${edge}}`,
    ...Object.entries(looks).map(
      ([look, [fill, stroke]]) => `.fafnir-graph .${look} rect{fill:${fill};stroke:${stroke}}`,
    ),
  ].join('\n');
}

/**
 * A graph as one SVG element, from dependants on the left to what they depend on. Each resource is a node with its
 * name, type, id where that is not the name, and state; colour only repeats the written state. It refers to nothing
 * outside, follows the reader's light or dark scheme and can be read by screen readers. A graph of more than 500
 * resources or 2,000 edges is summarised: a node is a type, with the number of resources in each state. Equal graphs
 * give equal text.
 */
export function toSvg(graph: ResourceGraph, options: PictureOptions = {}): string {
  const { nodes, edges, description } = pictureOf(graph, options, LIMITS);
  const heights = nodes.map(({ lines }) => lines.length * LINE_HEIGHT + 2 * PADDING);
  const layout = layoutOf(heights, edges);
  const { width, height } = layout;
  const dependencies = nodes.map((): string[] => []);
  for (const [from, to] of edges) dependencies[from]?.push(nodes[to]?.lines[0] ?? '');
  return [
    `<svg ${ROOT} width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    '<title>Resource graph</title>',
    `<desc>${escapeText(description)}</desc>`,
    `<style>${STYLE}</style>`,
    `<rect class="ground" width="${width}" height="${height}"/>`,
    '<g aria-hidden="true">',
    ...layout.curves.map(drawCurve),
    '</g>',
    '<g role="list">',
    ...nodes.map((node, at) => drawNode(node, layout.boxes[at], heights[at], dependencies[at])),
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

function drawCurve({ points: [x1, y1, x2, y2, x3, y3, x, y], arrow }: Curve): string {
  const back = arrow === 'right' ? -7 : 7;
  const head = arrow === null ? '' : `m${back} -4l${-back} 4l${back} 4`;
  return `<path d="M${x1} ${y1}C${x2} ${y2} ${x3} ${y3} ${x} ${y}${head}"/>`;
}

// An inner svg element cuts off what is wider than the node.
function drawNode(
  { lines, look }: PictureNode,
  { x, y }: Box = { x: 0, y: 0 },
  height = 0,
  dependencies: readonly string[] = [],
): string {
  const depends = dependencies.length > 0 ? `; depends on ${dependencies.join(', ')}` : '';
  return [
    `<svg role="listitem" class="${look}" x="${x}" y="${y}" width="${NODE_WIDTH}" height="${height}">`,
    `<title>${escapeText(lines.join(', ') + depends)}</title>`,
    `<rect x="1.5" y="1.5" width="${NODE_WIDTH - 3}" height="${height - 3}" rx="6"/>`,
    ...lines.map((line, at) => {
      const title = at === 0 ? ' class="title"' : '';
      return `<text${title} x="14" y="${PADDING + (at + 0.75) * LINE_HEIGHT}">${escapeText(line)}</text>`;
    }),
    '</svg>',
  ].join('');
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

const escapeText = (text: string): string => text.replace(/[&<>"]/g, (letter) => ENTITIES[letter] ?? '');
