import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../../src/core/graph/graph-builder.ts';
import { toMermaid } from '../../../src/core/graph/mermaid.ts';
import type { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { type Model, resourceOf } from './system.ts';

function graphOf({ resources, edges }: Model): ResourceGraph {
  const builder = new GraphBuilder();
  for (const resource of resources) builder.add(resource);
  for (const [from, to] of edges) builder.connect(from, to);
  return builder.build();
}

const named = (name: string): ResourceGraph =>
  graphOf({ resources: [{ ...resourceOf('Test', 'r'), name }], edges: [] });

// All that may stand between the quotes of a label: words, entities, and the breaks that we write.
const LABEL = /^(?:[\p{L}\p{M}\p{N} ]|(?<=[\p{L}\p{N}])[-_](?=[\p{L}\p{N}])|#\d+;|<br\/>)*$/u;
const LINES = [
  /^flowchart LR$/,
  /^ {2}accTitle: Resource graph$/,
  /^ {2}accDescr: [\w, ]+$/,
  /^ {2}n\d+\["(?<label>[^"\n]*)"\](?::::(?:failed|stopped|running|pending|skipped|done|other))?$/,
  /^ {2}n\d+ --> n\d+$/,
  /^ {2}classDef (?:failed|stopped|running|pending|skipped|done|other) [a-z0-9:#, -]+$/,
  /^$/,
];

/** The labels of a flowchart that is nothing but lines that we know. */
function labelsOf(flowchart: string): string[] {
  return flowchart.split('\n').flatMap((line) => {
    const match = LINES.map((known) => known.exec(line)).find((found) => found !== null);
    if (match === undefined || match === null) throw new Error(`not a line of ours: ${line}`);
    const label = match.groups?.label;
    if (label !== undefined) expect(label).toMatch(LABEL);
    return label === undefined ? [] : [label];
  });
}

const firstLine = (flowchart: string): string =>
  (labelsOf(flowchart)[0]?.split('<br/>')[0] ?? '').replace(/#(\d+);/g, (_, code) =>
    String.fromCodePoint(Number(code)),
  );

describe('a graph as Mermaid', () => {
  it('is a flowchart with the written state and a class for each', () => {
    const graph = graphOf({
      resources: ['web', 'data', 'logs'].map((id) => resourceOf('Test::Part', id)),
      edges: [
        [0, 1],
        [0, 2],
      ],
    });
    const states = new Map([
      ['web', 'failed'],
      ['data', 'done'],
    ]);
    expect(toMermaid(graph, { states: ({ id }) => states.get(id) })).toBe(
      [
        'flowchart LR',
        '  accTitle: Resource graph',
        '  accDescr: 3 resources, 2 edges, 1 failed, 1 done',
        '  n0["name of data<br/>Test#58;#58;Part<br/>data<br/>done"]:::done',
        '  n1["name of logs<br/>Test#58;#58;Part<br/>logs"]',
        '  n2["name of web<br/>Test#58;#58;Part<br/>web<br/>failed"]:::failed',
        '  n2 --> n0',
        '  n2 --> n1',
        '  classDef failed fill:#ffd7d5,stroke:#cf222e,stroke-width:3px,color:#1f2328',
        '  classDef done fill:#cdf5d5,stroke:#1a7f37,color:#1f2328',
        '',
      ].join('\n'),
    );
  });

  it('of nothing is still a flowchart', () => {
    expect(labelsOf(toMermaid(graphOf({ resources: [], edges: [] })))).toEqual([]);
  });

  it.each([
    '"]; click n0 "x:alert(1)"',
    '<script>1</script>',
    'a<br/>b',
    '%%{init: {}}%%',
    '`**bold**`',
    '1. one',
    '- item',
    'style:#x;',
    '#35;',
    '&lt;b&gt;',
    'www.example.com',
    '@{ shape: x }',
    '\\"',
    'web-01_data',
  ])('shows the name %j as it is', (name) => {
    expect(firstLine(toMermaid(named(name)))).toBe(name);
  });

  it('lets no name become a formula or an icon', () => {
    expect(firstLine(toMermaid(named('$$x$$')))).toBe('$\u200c$x$\u200c$');
    expect(firstLine(toMermaid(named('fa:fa-car')))).toBe('fa:\u200cfa-car');
  });

  it('lets no markup out of names, types, ids and states', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ unit: fc.constantFrom(...'"#;:%&<>[]{}()|`*_-$.\n\\ab1'), maxLength: 40 }),
    );
    fc.assert(
      fc.property(texts, texts, texts, texts, (name, type, id, state) => {
        const graph = graphOf({ resources: [{ type, id, name, attributes: {} }], edges: [] });
        expect(labelsOf(toMermaid(graph, { states: () => state }))).toHaveLength(1);
      }),
      { numRuns: 1_000 },
    );
  });

  const parts = (count: number, name: string, edges: Model['edges']): ResourceGraph =>
    graphOf({
      resources: Array.from({ length: count }, (_, at) => ({ ...resourceOf('Test', `r${at}`), name })),
      edges,
    });
  const dense = Array.from({ length: 501 }, (_, at) => [Math.floor(at / 20), 30 + (at % 20)] as const);

  it.each<[string, ResourceGraph]>([
    ['more than 500 resources', parts(501, 'x', [])],
    ['more than 500 edges', parts(60, 'x', dense)],
    ['more than 50,000 characters', parts(400, '\u{1f600}'.repeat(16), [])],
  ])('is summarised by type, with %s', (_, graph) => {
    expect(labelsOf(toMermaid(graph))).toEqual([`Test<br/>${graph.resources.length} resources`]);
  });

  it('shows 500 resources and 500 edges one by one', () => {
    expect(labelsOf(toMermaid(parts(500, 'x', dense.slice(1))))).toHaveLength(500);
  });
});
