import { dirname } from 'node:path'
import { MeshError } from '../core/base/index.ts'
import {
  checkOption,
  type MeshOptions,
  type OptionKey,
  optionKey,
  type OptionValue,
  type ProfilePaths,
  type ResolvedOptions,
  resolveOptions
} from '../core/options/index.ts'
import type { PreparedProfile, ProfileChange } from '../api/index.ts'
import { changeConfigFile, readConfigFile } from './config-file.ts'
import type { DaemonParts } from './parts.ts'
import { ensurePrivateFolder } from '../node/files.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The options of a profile from its file and the environment. @throws {MeshError} NOT_INITIALIZED and all of resolveOptions */
export function loadOptions(paths: ProfilePaths, environment: Environment): MeshOptions {
  const file = readConfigFile(paths.configFile)
  if (file.text === undefined) throw new MeshError('NOT_INITIALIZED', { profile: paths.profile })
  return resolveOptions({ file: file.values, environment }).options
}

/** Makes what a profile lacks and changes `settings`; nothing is written unless the whole is valid. */
export async function prepareProfile(
  parts: Pick<DaemonParts, 'ensureIdentity'>,
  profile: { readonly paths: ProfilePaths; readonly settings: Readonly<Record<string, OptionValue>>; readonly environment: Environment }
): Promise<PreparedProfile> {
  const { paths, settings, environment } = profile
  const file = readConfigFile(paths.configFile)
  for (const [key, value] of Object.entries(settings)) checkOption(optionKey(key), value)
  const { options } = resolveOptions({ file: { ...file.values, ...settings }, environment })
  const changed: readonly ProfileChange[] = Object.entries(settings)
    .filter(([key, value]) => JSON.stringify(file.values[key]) !== JSON.stringify(value))
    .map(([option, value]) => ({ option, value }))
  ensurePrivateFolder(paths.stateFolder)
  ensurePrivateFolder(dirname(paths.configFile))
  const identity = await parts.ensureIdentity(paths, options.passphraseFile)
  if (file.text === undefined || changed.length > 0) changeConfigFile(file, Object.fromEntries(changed.map(({ option, value }) => [option, value])))
  return { peerId: identity.peerId, created: identity.created, changed, options }
}

/** The options as they stand. @throws {MeshError} as `loadOptions`, but a missing file is told by `exists`. */
export function inspectProfile(paths: ProfilePaths, environment: Environment): ResolvedOptions & { readonly exists: boolean; readonly set: number } {
  const file = readConfigFile(paths.configFile)
  return { ...resolveOptions({ file: file.values, environment }), exists: file.text !== undefined, set: Object.keys(file.values).length }
}

/** Writes one option to the configuration, unless the whole would not be valid. */
export function setOption(
  paths: ProfilePaths,
  change: { readonly key: OptionKey; readonly value: OptionValue },
  environment: Environment
): { readonly changed: boolean } {
  const file = readConfigFile(paths.configFile)
  if (file.text === undefined) throw new MeshError('NOT_INITIALIZED', { profile: paths.profile })
  resolveOptions({ file: { ...file.values, [change.key]: change.value }, environment })
  const changed = JSON.stringify(file.values[change.key]) !== JSON.stringify(change.value)
  if (changed) changeConfigFile(file, { [change.key]: change.value })
  return { changed }
}
