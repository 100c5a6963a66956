/** The times of a rule by the clock on a wall; see `TimeZone` for how they are written. */
export interface WallTicks {
  /** The first one after a time; undefined where there is none within the centuries that are looked at. */
  after(wall: number): number | undefined;
}
