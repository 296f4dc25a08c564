import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { homedir, hostname, release, totalmem, userInfo } from 'node:os'
import type { BugreportRequest, Catalogue, OutputOf } from '../../api/index.ts'
import { safeJson, toMeshError, utf8, version } from '../../core/base/index.ts'
import { shownOptions } from '../../core/options/index.ts'
import { createPrivateFile } from '../../node/files.ts'
import { loadOptions } from '../profile.ts'
import { Redactor } from './redact.ts'

const logBytes = 262_144
const logLines = 300

/** Writes what a report needs into a private file. Everything in it went through the redactor. */
export function writeBugreport({ paths, environment, target, found }: BugreportRequest): OutputOf<Catalogue['bugreport']> {
  const log = lastLines(paths.logFile)
  // The log tells of groups and peers that the status knows no more.
  const redactor = new Redactor(namesIn([found, log], { ...paths }))
  const report = {
    about: 'Made by synaptic-mesh p2p bugreport. Peer ids, addresses and names are replaced, the same by the same. Read it before you send it.',
    madeAt: new Date().toISOString(),
    options: optionsOf({ paths, environment }),
    environment: Object.keys(environment).filter((name) => /^(?:SYNAPTIC_|NODE_|XDG_)/.test(name)),
    ...found,
    log
  }
  // Versions look like addresses, and tell nobody who it is.
  const text = readable({ versions: versions(), ...asObject(redactor.value(report)) })
  const bytes = utf8(text)
  createPrivateFile(target, bytes)
  return { file: target, bytes: bytes.length, sections: ['versions', ...Object.keys(report)], logLines: log.length }
}

/** In lines, for whoever reads it before it is sent; escaped as all that is shown. */
function readable(value: object): string {
  const lines = Object.entries(value).map(
    ([name, each]) =>
      `  ${safeJson(name)}: ${Array.isArray(each) && each.length > 0 ? `[\n    ${each.map((item) => safeJson(item)).join(',\n    ')}\n  ]` : safeJson(each ?? null)}`
  )
  return `{\n${lines.join(',\n')}\n}\n`
}

const asObject = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {})

const versions = (): Readonly<Record<string, string | number>> => ({
  'synaptic-mesh': version,
  node: process.versions.node,
  sqlite: process.versions['sqlite'] ?? '',
  v8: process.versions.v8,
  openssl: process.versions.openssl,
  system: `${process.platform} ${process.arch} ${release()}`,
  memoryMiB: Math.round(totalmem() / 1_048_576)
})

function optionsOf({ paths, environment }: Pick<BugreportRequest, 'paths' | 'environment'>): unknown {
  try {
    return shownOptions(loadOptions(paths, environment))
  } catch (error) {
    return { error: toMeshError(error).report() }
  }
}

/** Who and what is named in what was found: peers, this node, its user and machine, its folders. */
function namesIn(found: unknown, paths: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
  const names = new Set<string>()
  collectNames(found, names)
  const folders = Object.entries(paths)
    .filter(([key]) => key !== 'profile')
    .map(([key, path]) => [path, `~${key}`] as const)
  return [
    ...folders,
    [homedir(), '~'],
    [hostname(), 'machine'],
    [userName(), 'user'],
    ...[...names].filter((name) => name.length > 2).map((name) => [name, 'name'] as const)
  ]
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    return ''
  }
}

/** The values of fields that hold names, wherever they stand. */
function collectNames(value: unknown, names: Set<string>): void {
  if (typeof value !== 'object' || value === null) return
  for (const [key, each] of Object.entries(value)) {
    if (typeof each === 'string' && /^(?:name|alias|claimedName|label|group)$/.test(key)) names.add(each)
    else if (Array.isArray(each) && key === 'labels') each.filter((label) => typeof label === 'string').forEach((label) => names.add(label))
    else collectNames(each, names)
  }
}

/** The end of the log as the objects that its lines are; a line that is none is left out. */
function lastLines(file: string): readonly unknown[] {
  try {
    const descriptor = openSync(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
    try {
      return tail(descriptor).split('\n').flatMap(parsed).slice(-logLines)
    } finally {
      closeSync(descriptor)
    }
  } catch {
    return []
  }
}

function tail(descriptor: number): string {
  const { size } = fstatSync(descriptor)
  const bytes = Buffer.alloc(Math.min(size, logBytes))
  return bytes.toString('utf8', 0, readSync(descriptor, bytes, 0, bytes.length, size - bytes.length))
}

function parsed(line: string): readonly unknown[] {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? [value] : []
  } catch {
    return []
  }
}
