/** What the environment says about a bench of archives. */
export interface Settings {
  /** `BENCH_ROUNDS`; 5 unless given. */
  readonly rounds: number;
  /** `BENCH_IMAGE_MIB`; 4096 unless given. */
  readonly mebibytes: number;
  /** Whether the image stays for the next time: `BENCH_KEEP=1`. */
  readonly keep: boolean;
}

/** Reads them. */
export const readSettings = (): Settings => ({
  rounds: numberOf('BENCH_ROUNDS', 5),
  mebibytes: numberOf('BENCH_IMAGE_MIB', 4096),
  keep: process.env.BENCH_KEEP !== undefined,
});

function numberOf(name: string, otherwise: number): number {
  const number = Number(process.env[name] ?? otherwise);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new Error(`${name} is a whole number from 1 on`);
}
