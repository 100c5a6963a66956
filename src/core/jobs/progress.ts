import type { JobProgress } from '../events.ts';

/** A part of the bytes that a job expects. */
export interface ProgressShare {
  /** So many more are done. */
  advance(bytes: number): void;
  /** So many are done in all. */
  reach(bytes: number): void;
  /** All are done. */
  finish(): void;
}

/** Counts what a job has done. Never goes back, whatever is retried. */
export class Progress {
  readonly #report: (progress: JobProgress) => void;
  readonly #items = { done: 0, total: 0 };
  readonly #bytes = { done: 0, total: 0 };

  constructor(report: (progress: JobProgress) => void) {
    this.#report = report;
  }

  /** More work has become known. */
  expect(more: { readonly items?: number; readonly bytes?: number }): void {
    this.#items.total += more.items ?? 0;
    this.#bytes.total += more.bytes ?? 0;
    this.#tell();
  }

  /** One of the expected items is done. */
  item(): void {
    this.#items.done += 1;
    this.#tell();
  }

  /** A share of the expected bytes; what is beyond it counts no further, `finish` counts the rest. */
  share(size: number): ProgressShare {
    let counted = 0;
    const advance = (bytes: number): void => {
      const more = Math.min(bytes, size - counted);
      counted += more;
      this.#bytes.done += more;
      this.#tell();
    };
    return { advance, reach: (bytes) => advance(Math.max(0, bytes - counted)), finish: () => advance(size) };
  }

  #tell(): void {
    this.#report({ items: { ...this.#items }, bytes: { ...this.#bytes } });
  }
}
