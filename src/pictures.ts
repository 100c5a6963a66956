export { toMermaid } from './core/graph/mermaid.ts';
export type { PictureOptions } from './core/graph/picture.ts';
export { toSvg } from './core/graph/svg.ts';
