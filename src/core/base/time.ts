/** Milliseconds of a monotonic clock that keeps counting across processes within one boot. Never a wall clock. */
export type Millis = number & { readonly __brand: 'Millis' }
/** Milliseconds since 1970-01-01 UTC by the wall clock: for display and for evidence across boots, never for intervals. */
export type WallMillis = number & { readonly __brand: 'WallMillis' }

/** Mints a monotonic time. */
export const millis = (value: number): Millis => value as Millis
/** Mints a wall-clock time. */
export const wallMillis = (value: number): WallMillis => value as WallMillis
/** `time` moved by `deltaMs`. */
export const after = (time: Millis, deltaMs: number): Millis => (time + deltaMs) as Millis

/** The earliest of several wake times; undefined when there is none. */
export function earliest(...times: readonly (Millis | undefined)[]): Millis | undefined {
  let first: Millis | undefined
  for (const time of times) if (time !== undefined && (first === undefined || time < first)) first = time
  return first
}

/** The clock port. `monotonic` shares its origin among all processes of one boot, which `bootId` names. */
export interface Clock {
  monotonic(): Millis
  wall(): WallMillis
  readonly bootId: string
}
