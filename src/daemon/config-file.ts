import { parse, stringify } from 'smol-toml'
import { fromUtf8, MeshError, utf8 } from '../core/base/index.ts'
import type { OptionValue } from '../core/options/index.ts'
import { readPrivateFile, writePrivateFile } from '../node/files.ts'

type Table = Readonly<Record<string, unknown>>

const heading = '# Synaptic Mesh. Every option is in docs/options.md; environment and flags win over this file.\n'

export interface ConfigFile {
  readonly path: string
  /** Undefined: there is no file. */
  readonly text: string | undefined
  readonly values: Table
}

/** Reads a configuration. @throws {MeshError} CONFIG_MALFORMED, PERMISSIONS_UNSAFE, PATH_UNSAFE; never defaults in place of what cannot be read. */
export function readConfigFile(path: string): ConfigFile {
  const bytes = readPrivateFile(path)
  const text = bytes === undefined ? undefined : decode(bytes, path)
  return { path, text, values: text === undefined ? {} : parseToml(text, path) }
}

/** Changes options of a configuration and leaves the rest, comments included, as far as it is one line each. */
export function changeConfigFile(file: ConfigFile, changes: Readonly<Record<string, OptionValue>>): void {
  let text = file.text ?? heading
  const wanted: Record<string, unknown> = { ...file.values, ...changes }
  for (const [key, value] of Object.entries(changes)) text = changeLine(text, key, value)
  const isRight = sameTable(tryParse(text), wanted)
  writePrivateFile(file.path, utf8(isRight ? text : `${heading}${stringify(wanted)}\n`))
}

function changeLine(text: string, key: string, value: OptionValue): string {
  const line = stringify({ [key]: value }).trimEnd()
  const lines = text.split('\n')
  const index = lines.findIndex((candidate) => candidate.split('=')[0]?.trim() === key)
  if (index >= 0) return lines.with(index, line).join('\n')
  return `${text}${text === '' || text.endsWith('\n') ? '' : '\n'}${line}\n`
}

function decode(bytes: Uint8Array, path: string): string {
  try {
    return fromUtf8(bytes)
  } catch (cause) {
    throw new MeshError('CONFIG_MALFORMED', { file: path, reason: 'it is not text in UTF-8' }, { cause })
  }
}

function parseToml(text: string, path: string): Table {
  try {
    return parse(text)
  } catch (error) {
    const place = error instanceof Error && 'line' in error && 'column' in error ? `line ${String(error.line)}, column ${String(error.column)}: ` : ''
    const problem = error instanceof Error ? (error.message.split('\n')[0] ?? '').replace(/^Invalid TOML document: /, '') : 'not TOML'
    throw new MeshError('CONFIG_MALFORMED', { file: path, reason: place + problem }, { cause: error })
  }
}

function tryParse(text: string): Table {
  try {
    return parse(text)
  } catch {
    return {}
  }
}

const sameTable = (one: Table, other: Table): boolean => JSON.stringify(sorted(one)) === JSON.stringify(sorted(other))
const sorted = (table: Table): unknown => Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1))
