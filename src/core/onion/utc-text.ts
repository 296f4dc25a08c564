import type { WallMillis } from '../base/index.ts'

const dayMs = 86_400_000

/** `2026-01-31 23:59 UTC`: to the minute. The days are counted as in Hinnant, chrono-compatible low-level date algorithms, civil_from_days. */
export function utcText(time: WallMillis): string {
  const days = Math.floor(time / dayMs)
  const { year, month, day } = dateOf(days)
  const minutes = Math.floor((time - days * dayMs) / 60_000)
  return `${year}-${two(month)}-${two(day)} ${two(Math.floor(minutes / 60))}:${two(minutes % 60)} UTC`
}

const two = (value: number): string => String(value).padStart(2, '0')

/** Of the days since 1970-01-01. Years begin in March, so that the day that comes and goes is their last. */
function dateOf(days: number): { readonly year: number; readonly month: number; readonly day: number } {
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  return { year: yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day: dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1 }
}
