import { displayWidth, padded } from './display-width.ts'
import { cellGap } from './layout.ts'

/** Words, numbers and columns as all commands show them. */

/** Rows with columns of even width; the last is left as it is. A row that does not fit the terminal is laid out anew by the output. */
export function table(rows: readonly (readonly string[])[]): readonly string[] {
  const widths: number[] = []
  for (const row of rows) for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, displayWidth(cell))
  return rows.map((row) => {
    const last = row.findLastIndex((cell) => cell.trim() !== '')
    return row
      .slice(0, last + 1)
      .map((cell, index) => (index === last ? cell.trimEnd() : padded(cell, widths[index] ?? 0)))
      .join(cellGap)
  })
}

export const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`
export const milliseconds = (ms: number): string => (ms < 10 ? `${Math.round(ms * 10) / 10} ms` : ms < 10_000 ? `${Math.round(ms)} ms` : seconds(ms))
export const seconds = (ms: number): string =>
  ms < 60_000 ? `${(ms / 1000).toFixed(1)} s` : ms < 3_600_000 ? `${Math.floor(ms / 60_000)} min` : `${(ms / 3_600_000).toFixed(1)} h`
export const bytes = (size: number): string =>
  size < 1024
    ? `${size} B`
    : size < 1_048_576
      ? `${(size / 1024).toFixed(1)} KiB`
      : size < 1_073_741_824
        ? `${(size / 1_048_576).toFixed(1)} MiB`
        : `${(size / 1_073_741_824).toFixed(1)} GiB`
/** The time of a wall clock that may be a peer's: any number; in UTC, and says so. */
export const timeOf = (at: number): string =>
  Math.abs(at) <= 8.64e15
    ? new Date(at)
        .toISOString()
        .replace('T', ' ')
        .replace(/\.\d+Z$/, 'Z')
    : 'at no possible time'
