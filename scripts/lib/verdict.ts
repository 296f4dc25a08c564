/** A figure with the least (or most) that it may be. */
export interface Floor {
  readonly name: string
  readonly value: number
  readonly unit: string
  /** The value must be at least this. */
  readonly atLeast?: number
  /** The value must be at most this. */
  readonly atMost?: number
  /**
   * The same work done by something else in the same run. An absolute floor depends on the machine, so that missing it fails only when the
   * ratio value / reference misses `ratioAtLeast` (or exceeds `ratioAtMost`) too.
   */
  readonly reference?: { readonly name: string; readonly value: number; readonly ratioAtLeast?: number; readonly ratioAtMost?: number }
}

interface Judgement {
  readonly isMet: boolean
  readonly line: string
}

const isWithin = (value: number, limits: { readonly min?: number | undefined; readonly max?: number | undefined }): boolean =>
  Number.isFinite(value) && value >= (limits.min ?? -Infinity) && value <= (limits.max ?? Infinity)

const amount = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: Math.abs(value) < 10 ? 2 : 1 })

function judge(floor: Floor): Judgement {
  const isAbsoluteMet = isWithin(floor.value, { min: floor.atLeast, max: floor.atMost })
  const wanted = floor.atLeast === undefined ? `at most ${amount(floor.atMost ?? Infinity)}` : `at least ${amount(floor.atLeast)}`
  const figure = `${floor.name}: ${amount(floor.value)} ${floor.unit} (${wanted})`
  if (isAbsoluteMet || floor.reference === undefined) return { isMet: isAbsoluteMet, line: `${isAbsoluteMet ? 'met   ' : 'MISSED'}  ${figure}` }
  const { name, value, ratioAtLeast, ratioAtMost } = floor.reference
  const ratio = floor.value / value
  const isRatioMet = (ratioAtLeast !== undefined || ratioAtMost !== undefined) && isWithin(ratio, { min: ratioAtLeast, max: ratioAtMost })
  return {
    isMet: isRatioMet,
    line: `${isRatioMet ? 'ratio ' : 'MISSED'}  ${figure}; ${amount(ratio)} of ${name} (${amount(value)} ${floor.unit}) in this run`
  }
}

/** Whether every floor is met, and the lines that say so; the last is `verdict: pass …` or `verdict: fail …`. */
export function verdictOf(floors: readonly Floor[]): { readonly isMet: boolean; readonly lines: readonly string[] } {
  const judged = floors.map(judge)
  const missed = floors.filter((_, index) => judged[index]?.isMet !== true)
  const isMet = floors.length > 0 && missed.length === 0
  const last = isMet
    ? `verdict: pass (${floors.length} floors met)`
    : `verdict: fail (${floors.length === 0 ? 'nothing was measured' : `missed: ${missed.map((floor) => floor.name).join(', ')}`})`
  return { isMet, lines: [...judged.map((each) => each.line), last] }
}

/** Prints every floor and the verdict as the last line, and makes the process end with 1 when one is missed. */
export function verdict(floors: readonly Floor[]): void {
  const { isMet, lines } = verdictOf(floors)
  process.stdout.write(`${lines.join('\n')}\n`)
  if (!isMet) process.exitCode = 1
}
