import { displayWidth } from './display-width.ts'

/** Between the cells of a row, so that a row which does not fit can be laid out anew. No text from outside has a control character left. */
export const cellGap = '\u001f'
/** Before a line that stands as it is, however long: a script, a file, a format of others. */
const verbatimMark = '\u001e'
/** The narrowest column in which a value beside its name is wrapped. */
const leastColumn = 24

/** The lines of a text that is data for other programs: never wrapped. */
export const verbatim = (text: string): readonly string[] => text.split('\n').map((line) => verbatimMark + line)

/**
 * Lines for a terminal of `columns`: a table that is too wide becomes lines, and what is still too long is wrapped between words. What has no space in it, such as
 * an id or an address, is never cut. `undefined`: not for a terminal, everything stays on its line.
 */
export function fitted(lines: readonly string[], columns: number | undefined): readonly string[] {
  const single = lines.flatMap((line) => line.split('\n'))
  if (columns === undefined) return single.map(unmarked)
  const out: string[] = []
  for (let at = 0; at < single.length;) {
    const line = single[at] ?? ''
    const rows = line.includes(cellGap) ? tableAt(single, at) : [line]
    out.push(...(line.includes(cellGap) ? fittedTable(rows, columns) : fittedLine(line, columns)))
    at += rows.length
  }
  return out
}

const unmarked = (line: string): string => line.replaceAll(cellGap, '  ').replace(verbatimMark, '')

/** The rows that stand one below the other from `at` on. */
function tableAt(lines: readonly string[], at: number): readonly string[] {
  const end = lines.findIndex((line, index) => index > at && !line.includes(cellGap))
  return lines.slice(at, end < 0 ? lines.length : end)
}

function fittedTable(rows: readonly string[], columns: number): readonly string[] {
  if (rows.every((row) => displayWidth(unmarked(row)) <= columns)) return rows.map(unmarked)
  const cells = rows.map((row) => row.split(cellGap))
  const nameWidth = displayWidth(cells[0]?.[0] ?? '') + 2
  if (cells.every(({ length }) => length === 2) && columns - nameWidth >= leastColumn)
    return cells.flatMap(([name = '', value = '']) => beside(`${name}  `, value, { columns, nameWidth }))
  return cells.flatMap((row) => flowed(row, columns))
}

/** A value in a column of its own beside its name. */
function beside(name: string, value: string, { columns, nameWidth }: { readonly columns: number; readonly nameWidth: number }): readonly string[] {
  return wrapped(value, columns - nameWidth).map((line, index) => (index === 0 ? name : ' '.repeat(nameWidth)) + line)
}

/** Pieces one after the other, each on a new line where the last one is full; what follows the first line is indented further. */
function flowed(pieces: readonly string[], columns: number): readonly string[] {
  const [first = '', ...rest] = pieces
  const indent = /^ */.exec(first)?.[0] ?? ''
  const lines: string[] = []
  let line = first.trimEnd()
  for (const piece of rest.map((each) => each.trim()).filter((each) => each !== '')) {
    if (line.trim() === '') line = indent + piece
    else if (displayWidth(line) + 2 + displayWidth(piece) <= columns) line += `  ${piece}`
    else {
      lines.push(line)
      line = `${indent}  ${piece}`
    }
  }
  return [...lines, line].flatMap((each) => hung(each, columns))
}

/** Parts of a line with three spaces and more between them stay whole where they can. */
function fittedLine(line: string, columns: number): readonly string[] {
  if (line.startsWith(verbatimMark)) return [line.slice(1)]
  if (displayWidth(line) <= columns) return [line]
  const indent = /^ */.exec(line)?.[0] ?? ''
  const [first = '', ...rest] = line.slice(indent.length).split(/ {3,}/)
  return flowed([indent + first, ...rest], columns)
}

/** A line that is too long, wrapped below its own beginning. */
function hung(line: string, columns: number): readonly string[] {
  if (displayWidth(line) <= columns) return [line]
  const indent = /^ */.exec(line)?.[0] ?? ''
  const below = columns - indent.length - 2 >= leastColumn ? `${indent}  ` : ''
  const [first = '', ...rest] = wrapped(line.slice(indent.length), columns - indent.length)
  const left = rest.join(' ')
  return [indent + first, ...(left === '' ? [] : wrapped(left, columns - below.length).map((each) => below + each))]
}

/** Words in lines of at most `width` columns; a longer word stands on a line of its own. */
function wrapped(text: string, width: number): readonly string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line === '') line = word
    else if (displayWidth(line) + 1 + displayWidth(word) <= width) line += ` ${word}`
    else {
      lines.push(line)
      line = word
    }
  }
  return [...lines, line]
}
