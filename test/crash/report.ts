import type { Figure } from '../../bench/figure.ts';
import { type Case, isZombie, type Verdict } from './case.ts';
import type { Count } from './look.ts';
import type { Site } from './site.ts';

const BROKEN: readonly Count[] = [
  'lost commits',
  'orphans',
  'zombies not fenced',
  'wrong ends',
  'pauses left',
  'effects more than twice',
];

/** What verdicts add up to. `killPoints`: how many deaths there must have been. */
export function figuresOf(verdicts: readonly Verdict[], killPoints: number): readonly Figure[] {
  const real = verdicts.filter(({ case: { mutant } }) => mutant !== true);
  const mutants = verdicts.filter(({ case: { mutant } }) => mutant === true);
  const struck = (of: readonly Verdict[]): number => of.reduce((sum, one) => sum + one.struck.length, 0);
  const broken = (of: readonly Verdict[], count: Count): number =>
    of.flatMap(({ problems }) => problems).filter((problem) => problem.count === count).length;
  const deaths = struck(real.filter((one) => !isZombie(one.case)));
  const caught = broken(mutants, 'zombies not fenced');
  return [
    figure('kill points', deaths, `>= ${killPoints}`, deaths >= killPoints),
    figure('zombies', real.filter((one) => isZombie(one.case) && one.struck.length > 0).length, null, null),
    ...BROKEN.map((count) => {
      const value = broken(real, count);
      return figure(count, value, '= 0', value === 0);
    }),
    mutants.length === 0
      ? figure('zombies of a mutant store not fenced', 0, null, null)
      : figure('zombies of a mutant store not fenced', caught, '> 0', caught > 0),
  ];
}

function figure(name: string, value: number, goal: string | null, met: boolean | null): Figure {
  return { name, value, unit: '', rival: null, ratio: null, goal, met, rounds: 1 };
}

/** A case as the words that run it again. */
export function commandOf({ scenario, kind, at, second, mutant }: Case, site: Site): string {
  const application = site.name === 'files' ? '' : `--site ${site.name} `;
  const where = site.jobs.name === 'sqlite' ? application : `${application}--store ${site.jobs.name} `;
  const words = [`npm run crash -- ${where}--scenario ${scenario}`, `--kind ${kind}`, `--at '${at}'`];
  if (second !== undefined) words.push(`--second '${second}'`);
  if (mutant === true) words.push('--mutant');
  return words.join(' ');
}

/** A verdict that is to be read by people: what was struck, and what was broken. */
export function renderVerdict({ case: one, struck, problems }: Verdict, site: Site): string {
  const places = struck.map(({ number, place }) => `${number} ${place}`).join(', then ');
  const again = { ...one, at: struck[0]?.place ?? one.at, ...(struck[1] && { second: struck[1].place }) };
  const lines = problems.map(({ count, text }) => `  ${count}: ${text}`);
  return [
    `${one.scenario}, ${one.kind} at ${places || 'nowhere: it had ended before'}`,
    ...lines,
    `  again: ${commandOf(again, site)}`,
  ].join('\n');
}
