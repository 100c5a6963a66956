import { parseArgs } from 'node:util';
import { killArchives } from './archive.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
  },
});
const [kills, seed] = [Number(values.kills), Number(values.seed)];
if (![kills, seed].every(Number.isSafeInteger)) throw new Error('--kills and --seed need whole numbers');
const { wrong, ...counts } = await killArchives({ kills, seed });
for (const one of wrong) console.log(one);
for (const [what, count] of Object.entries(counts)) console.log(`${what}: ${count}`);
console.log(`${counts.kills} kills, ${wrong.length} wrong`);
process.exitCode = wrong.length === 0 ? 0 : 1;
