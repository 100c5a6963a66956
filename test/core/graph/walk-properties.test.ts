import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drive, type WalkEvent } from './walk-driver.ts';
import { neighbours } from './walk-model.ts';
import { type Scenario, scenarios } from './walk-scenario.ts';

const RUNS = 3_000;

type Span = { readonly start: number; readonly end: number };

// When each part of each resource ran, as places in the log; a part that ran twice is found here.
function spansOf(events: readonly WalkEvent[]): ReadonlyMap<string, Span> {
  const spans = new Map<string, Span>();
  for (const [at, { type, phase, members }] of events.entries()) {
    for (const position of members) {
      const key = `${phase}/${position}`;
      const open = spans.get(key);
      if (type === 'start') {
        expect(open).toBeUndefined();
        spans.set(key, { start: at, end: Number.POSITIVE_INFINITY });
      } else {
        expect(open?.end).toBe(Number.POSITIVE_INFINITY);
        spans.set(key, { start: open?.start ?? -1, end: at });
      }
    }
  }
  return spans;
}

function allBefore(scenario: Scenario, phase: Scenario['phases'][number], position: number): Set<number> {
  const found = new Set(neighbours(scenario, phase, position));
  for (const at of found) for (const other of neighbours(scenario, phase, at)) found.add(other);
  return found;
}

function assertOrder(scenario: Scenario, spans: ReadonlyMap<string, Span>): void {
  for (const [index, phase] of scenario.phases.entries()) {
    for (let position = 0; position < scenario.count; position += 1) {
      const mine = spans.get(`${index}/${position}`);
      if (mine === undefined) continue;
      expect(mine.end).not.toBe(Number.POSITIVE_INFINITY);
      expect(phase.takes[position]).toBe(true);
      for (let earlier = 0; earlier < index; earlier += 1) {
        const own = spans.get(`${earlier}/${position}`);
        if (own !== undefined) expect(own.end).toBeLessThan(mine.start);
      }
      for (const other of allBefore(scenario, phase, position)) {
        const theirs = spans.get(`${index}/${other}`);
        if (theirs !== undefined) expect(theirs.end).toBeLessThan(mine.start);
      }
    }
  }
}

function assertEnded({ phases, count }: Scenario, spans: ReadonlyMap<string, Span>): void {
  for (const [index, { ends }] of phases.entries()) {
    if (ends === null) continue;
    for (let position = 0; position < count; position += 1) {
      expect(spans.has(`${index}/${position}`)).toBe(spans.has(`${ends}/${position}`));
    }
  }
}

describe('a walk', () => {
  it('keeps every order, runs each part once and ends what it began, and is as modelled', async () => {
    const seen = { done: 0, failed: 0, skipped: 0, stopped: 0, ended: 0, partOfGroup: 0 };
    await fc.assert(
      fc.asyncProperty(scenarios, async (scenario) => {
        const { events, outcomes, result } = await drive(scenario);
        const spans = spansOf(events);
        assertOrder(scenario, spans);
        assertEnded(scenario, spans);
        const counts = { done: 0, failed: 0, skipped: 0, stopped: 0 };
        for (const { state } of outcomes) counts[state] += 1;
        expect(result.counts).toEqual(counts);
        for (const { state } of outcomes) seen[state] += 1;
        for (const { type, phase, unit, members } of events) {
          const plan = scenario.phases[phase];
          if (type === 'success' && plan?.ends !== null) seen.ended += 1;
          if (members.length < (plan?.groups?.[unit]?.length ?? 0)) seen.partOfGroup += 1;
        }
      }),
      { numRuns: RUNS },
    );
    // What never came up was not tried.
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(RUNS / 100);
  });
});
