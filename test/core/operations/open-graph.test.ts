import { expect, it } from 'vitest';
import { memoryBank } from '../../../src/banks/memory.ts';
import { putGraph } from '../../../src/core/archive/stored-graph.ts';
import { parseCheckpointId } from '../../../src/core/identity.ts';
import { openGraph } from '../../../src/core/operations/open-graph.ts';
import { vaultOf } from '../archive/vaults.ts';
import { countingCall } from '../archive/volumes.ts';
import { resourceOf } from '../graph/system.ts';

const C1 = parseCheckpointId('c1');
const resources = ['a', 'b', 'c'].map((id) => resourceOf('Test::Part', id));

it('the graph of a checkpoint is a graph again', async () => {
  const vault = vaultOf(memoryBank({ name: 'bank' }));
  const error = { code: 'UNAVAILABLE', message: 'no answer', retryable: true, hint: 'wait' };
  const gaps = {
    excluded: [{ type: 'Test::Part', id: 'x' }],
    incomplete: [{ resource: { type: 'Test::Part', id: 'b' }, error }],
  };
  const stored = { resources, edges: { from: [0, 0], to: [1, 2] }, ...gaps };
  const pointer = await putGraph(vault, C1, stored, countingCall());
  const graph = await openGraph(vault, C1, pointer, countingCall());
  expect(graph).toMatchObject({ resources, ...gaps });
  expect([...graph.dependencies(0)]).toEqual([1, 2]);
  expect(graph.order.at(-1)).toBe(0);
});

it('a stored graph whose resources depend on each other is CORRUPT, and says where it lies', async () => {
  const vault = vaultOf(memoryBank({ name: 'bank' }));
  const stored = { resources, edges: { from: [0, 1], to: [1, 0] } };
  const pointer = await putGraph(vault, C1, stored, countingCall());
  await expect(openGraph(vault, C1, pointer, countingCall())).rejects.toMatchObject({
    code: 'CORRUPT',
    message: expect.stringMatching(/checkpoint c1 in bank bank/),
    cause: expect.objectContaining({ code: 'CYCLE' }),
  });
});
