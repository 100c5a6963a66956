import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ResourceKey } from '../../../src/core/contracts/index.ts';
import { GraphBuilder } from '../../../src/core/graph/graph-builder.ts';
import type { ResourceGraph } from '../../../src/core/graph/resource-graph.ts';
import { toSvg } from '../../../src/core/graph/svg.ts';
import { type Model, resourceOf } from './system.ts';

function graphOf({ resources, edges }: Model): ResourceGraph {
  const builder = new GraphBuilder();
  for (const resource of resources) builder.add(resource);
  for (const [from, to] of edges) builder.connect(from, to);
  return builder.build();
}

const shop = graphOf({
  resources: [
    { ...resourceOf('Test::Server', '5e2b'), name: 'web' },
    { ...resourceOf('Test::Volume', 'data'), name: 'data' },
    { ...resourceOf('Test::Volume', 'logs'), name: 'logs' },
  ],
  edges: [
    [0, 1],
    [0, 2],
  ],
});

const TOKEN =
  /<(?<close>\/?)(?<tag>[a-z]+)(?<attributes>(?: [a-zA-Z-]+="[^"<>&]*")*)\s*(?<empty>\/?)>|(?<text>(?:[^<>&]|&(?:amp|lt|gt|quot);)+)/uy;

/** The texts by element, of XML that is well formed, with nothing in it but elements and attributes that we know. */
function read(svg: string): { tag: string; text: string }[] {
  const open: string[] = [];
  const texts: { tag: string; text: string }[] = [];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < svg.length) {
    const from = TOKEN.lastIndex;
    const { close, tag = '', attributes = '', empty, text } = TOKEN.exec(svg)?.groups ?? {};
    if (TOKEN.lastIndex === 0) throw new Error(`not well formed: ${svg.slice(from, from + 80)}`);
    if (text !== undefined) texts.push({ tag: open.at(-1) ?? '', text });
    else if (close === '/') expect(open.pop()).toBe(tag);
    else {
      expect(['svg', 'title', 'desc', 'style', 'rect', 'g', 'path', 'text']).toContain(tag);
      for (const [, name] of attributes.matchAll(/ ([a-zA-Z-]+)="/g)) {
        expect([
          'xmlns',
          'class',
          'role',
          'aria-hidden',
          'width',
          'height',
          'viewBox',
          'x',
          'y',
          'rx',
          'd',
        ]).toContain(name);
      }
      if (empty === '') open.push(tag);
    }
  }
  expect(open).toEqual([]);
  return texts;
}

const textsIn = (svg: string, wanted: string): string[] =>
  read(svg).flatMap(({ tag, text }) =>
    tag === wanted
      ? text
          .replaceAll('&lt;', '<')
          .replaceAll('&gt;', '>')
          .replaceAll('&quot;', '"')
          .replaceAll('&amp;', '&')
      : [],
  );

describe('a graph as SVG', () => {
  const states = ({ id }: ResourceKey): string | undefined => (id === '5e2b' ? 'failed' : undefined);

  it('writes names, types, ids and states', () => {
    const svg = toSvg(shop, { states });
    const written = ['web', 'Test::Server', '5e2b', 'failed', 'data', 'Test::Volume', 'logs', 'Test::Volume'];
    expect(textsIn(svg, 'text')).toEqual(written);
    expect(svg).toContain('class="failed"');
  });

  it('can be read aloud: the whole, each resource, and what it depends on', () => {
    const svg = toSvg(shop, { states });
    expect(textsIn(svg, 'title')).toEqual([
      'Resource graph',
      'web, Test::Server, 5e2b, failed; depends on data, logs',
      'data, Test::Volume',
      'logs, Test::Volume',
    ]);
    expect(textsIn(svg, 'desc')).toEqual(['3 resources, 2 edges, 1 failed']);
    expect(svg).toMatch(/^<svg [^>]*role="graphics-document document"/);
    expect(svg.match(/role="listitem"/g)).toHaveLength(3);
  });

  it('refers to nothing outside', () => {
    const svg = toSvg(shop, { states }).replace('xmlns="http://www.w3.org/2000/svg"', '');
    expect(svg).not.toMatch(/url\(|href|import|https?:/);
  });

  it('of nothing is still a picture', () => {
    expect(textsIn(toSvg(graphOf({ resources: [], edges: [] })), 'desc')).toEqual(['0 resources, 0 edges']);
  });

  it.each(['<script>alert(1)</script>', '"/><image/>', ']]>&amp;<!--', '&#x3c;b&#x3e;'])(
    'shows the name %j as it is',
    (name) => {
      const graph = graphOf({ resources: [{ ...resourceOf('Test', 'r'), name }], edges: [] });
      expect(textsIn(toSvg(graph), 'text')).toEqual([name, 'Test', 'r']);
    },
  );

  it('lets no markup and nothing that XML forbids out of names, types, ids and states', () => {
    const texts = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.string({ unit: fc.constantFrom(...'"&<>\'/=;!-[]\u0000\ud800\uffff ab'), maxLength: 40 }),
    );
    fc.assert(
      fc.property(texts, texts, texts, texts, (name, type, id, state) => {
        const graph = graphOf({ resources: [{ type, id, name, attributes: {} }], edges: [] });
        const svg = toSvg(graph, { states: () => state });
        expect(read(svg).filter(({ tag }) => tag === 'title')).toHaveLength(2);
        expect(svg.isWellFormed()).toBe(true);
        expect(svg).not.toMatch(/[^\n\P{Cc}]|[\ufffe\uffff]/u);
      }),
      { numRuns: 500 },
    );
  });

  it('has text that stands out from every colour, in light and in dark', () => {
    const schemes = toSvg(shop).split('@media (prefers-color-scheme:dark)');
    expect(schemes).toHaveLength(2);
    for (const scheme of schemes) {
      const ink = /text\{fill:#(\w+)\}/.exec(scheme)?.[1] ?? '';
      const fills = [...scheme.matchAll(/ rect\{fill:#(\w+);stroke:#(\w+)\}/g)];
      expect(fills).toHaveLength(8);
      const ground = /\.ground\{fill:#(\w+)/.exec(scheme)?.[1] ?? '';
      for (const [, fill = '', stroke = ''] of fills) {
        expect(contrast(ink, fill)).toBeGreaterThan(7);
        expect(contrast(stroke, ground)).toBeGreaterThan(3);
      }
    }
  });

  it('is summarised by type with more than 500 resources, and stays small with a million', {
    timeout: 60_000,
  }, () => {
    const resources = Array.from({ length: 1_000_000 }, (_, at) =>
      resourceOf('Test::Link', String(at).padStart(7, '0')),
    );
    const edges = resources.slice(1).map((_, at) => [at, at + 1] as const);
    const svg = toSvg(graphOf({ resources, edges }), {
      states: ({ id }) => (id.endsWith('7') ? 'failed' : 'done'),
    });
    expect(textsIn(svg, 'text')).toEqual([
      'Test::Link',
      '1,000,000 resources',
      '100,000 failed',
      '900,000 done',
    ]);
    expect(svg.length).toBeLessThan(5_000);
  });

  it('draws 500 resources one by one', () => {
    const resources = Array.from({ length: 500 }, (_, at) => resourceOf('Test::Link', `r${at}`));
    expect(textsIn(toSvg(graphOf({ resources, edges: [] })), 'title')).toHaveLength(501);
  });
});

/** The contrast ratio of two colours, as the accessibility guidelines define it. */
function contrast(a: string, b: string): number {
  const [dark = 0, bright = 0] = [a, b].map(luminance).sort((x, y) => x - y);
  return (bright + 0.05) / (dark + 0.05);
}

function luminance(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [0, 2, 4].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
