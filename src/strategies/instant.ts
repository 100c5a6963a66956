import type { StrategyRequest } from '../core/contracts/index.ts';

/** Says what the array does for a volume, and what that is worth. */
export function instantOf(
  { volume, capabilities }: Pick<StrategyRequest, 'volume' | 'capabilities'>,
  does: string,
): string {
  const what = `array ${volume.array} ${does}`;
  return capabilities.pointInTime
    ? `${what} of one instant`
    : `${what}, which is not point-in-time: writes may go on while it is taken`;
}
