import { encode } from 'uqr'

/** ISO/IEC 18004 asks for four light modules around the code; two or one are enough for most cameras, and make room on a narrow terminal. */
const borders = [4, 2, 1] as const
/** Black on white, whatever the colours of the terminal are. */
const onWhite = (line: string): string => `\u001b[30;107m${line}\u001b[0m`

export interface QrOptions {
  /** How wide the terminal is; undefined when nobody knows. */
  readonly columns: number | undefined
  /** Whether colours are shown. Without them the code is drawn for light text on a dark ground. */
  readonly coloured: boolean
}

/** A QR code in half blocks, one column for each module and one line for two; or how many columns it would need. */
export function qrLines(text: string, { columns, coloured }: QrOptions): { readonly lines: readonly string[] } | { readonly needs: number } {
  const codes = borders.map((border) => encode(text, { ecc: 'L', border }))
  const fitting = codes.find(({ size }) => columns === undefined || size <= columns)
  if (fitting === undefined) return { needs: Math.min(...codes.map(({ size }) => size)) }
  const { data, size } = fitting
  const isInked = (x: number, y: number): boolean => (data[y]?.[x] ?? false) === coloured
  const lines = Array.from({ length: Math.ceil(size / 2) }, (_, row) =>
    Array.from({ length: size }, (_unused, x) => blockOf(isInked(x, 2 * row), isInked(x, 2 * row + 1))).join('')
  )
  return { lines: coloured ? lines.map(onWhite) : lines }
}

const blockOf = (upper: boolean, lower: boolean): string => (upper ? (lower ? '█' : '▀') : lower ? '▄' : ' ')
