import { homedir } from 'node:os'
import { resolve } from 'node:path'
import { topics } from '../../api/topics.ts'
import { safeText } from '../../core/base/index.ts'
import { profilePaths } from '../../core/options/index.ts'
import { type Candidate, complete, type Completion } from './complete.ts'
import { liveNames } from './live-names.ts'

/** The lines that answer a shell: a candidate and, after a tab, what it is; `:files` and `:folders` for names that the shell knows best. Never throws. */
export async function completionLines(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<readonly string[]> {
  const [index = '', ...words] = args
  const at = /^\d{1,4}$/.test(index) ? Number(index) : words.length - 1
  try {
    const found = complete(words, at)
    if (found.kind === 'file' || found.kind === 'folder') return [`:${found.kind}s`]
    const live = await liveOf(found, environment)
    return [...found.candidates, ...live].filter(({ value }) => value.startsWith(found.prefix)).map(lineOf)
  } catch {
    return []
  }
}

async function liveOf({ kind, globals }: Completion, environment: NodeJS.ProcessEnv): Promise<readonly Candidate[]> {
  if (kind === undefined) return []
  if (kind === 'topic') return topics.map(({ topic, title }) => ({ value: topic, about: title }))
  const path = (flag: string, name: string): string | undefined => {
    const given = globals.get(flag) ?? environment[name]
    return given === undefined ? undefined : resolve(given)
  }
  const paths = profilePaths({
    environment,
    home: homedir(),
    platform: process.platform,
    profile: globals.get('--profile') ?? environment['SYNAPTIC_MESH_PROFILE'] ?? 'default',
    dataDir: path('--data-dir', 'SYNAPTIC_MESH_DATA_DIR'),
    config: path('--config', 'SYNAPTIC_MESH_CONFIG')
  })
  return liveNames(kind, paths)
}

const lineOf = ({ value, about }: Candidate): string => `${safeText(value)}${about === '' ? '' : `\t${safeText(about, { maxCharacters: 100 })}`}`
