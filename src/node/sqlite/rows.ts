import type { SQLOutputValue } from 'node:sqlite'
import { MeshError } from '../../core/base/index.ts'

/** One row as node:sqlite gives it. */
export type Row = Record<string, SQLOutputValue>

const wrongType = (column: string): MeshError => new MeshError('STATE_CORRUPT', { file: 'the store', reason: `column ${column} has another type` })

/** The text of a column. @throws {MeshError} STATE_CORRUPT when it is none: a damaged record header changes types. */
export function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw wrongType(column)
  return value
}

/** The number of a column. @throws {MeshError} STATE_CORRUPT */
export function number(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number') throw wrongType(column)
  return value
}

/** The bytes of a column. @throws {MeshError} STATE_CORRUPT */
export function blob(row: Row, column: string): Uint8Array {
  const value = row[column]
  if (!(value instanceof Uint8Array)) throw wrongType(column)
  return value
}

/** The member of `known` that a column names. @throws {MeshError} STATE_CORRUPT */
export function choice<const Value extends string>(row: Row, column: string, known: readonly Value[]): Value {
  const value = row[column]
  const found = known.find((each) => each === value)
  if (found === undefined) throw wrongType(column)
  return found
}
