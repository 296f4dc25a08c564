import { type Catalogue, ControlClient, type InputOf } from '../api/index.ts'
import { MeshError } from '../core/base/index.ts'
import {
  checkOption,
  type MeshOptions,
  type OptionKey,
  optionKey,
  optionTable,
  type OptionValue,
  parseOption,
  shownValue
} from '../core/options/index.ts'
import type { CommandContext } from './context.ts'
import { plain } from './life-commands.ts'
import { renderers } from './render.ts'

const camelCase = (key: string): string => key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
const valueOf = (options: MeshOptions, key: OptionKey): OptionValue => new Map<string, OptionValue>(Object.entries(options)).get(camelCase(key)) ?? ''

export async function configGet(input: InputOf<Catalogue['configGet']>, context: CommandContext): Promise<void> {
  const module = await context.loadDaemonModule()
  const { options, sources } = module.inspectProfile(context.paths, context.environment)
  const keys = input.key === undefined ? (Object.keys(optionTable) as OptionKey[]) : [optionKey(input.key)]
  const answer = { options: keys.map((option) => ({ option, value: plain(shownValue(option, valueOf(options, option))), source: sources[option] })) }
  await context.output.result(answer, (value) => renderers.configGet(value, context.output))
}

export async function configSet(input: InputOf<Catalogue['configSet']>, context: CommandContext): Promise<void> {
  const key = optionKey(input.key)
  if (optionTable[key].type !== 'list' && input.value.length !== 1) throw new MeshError('USAGE', { problem: `${key} takes one value` })
  const items = input.value.length === 1 && input.value[0] === '' ? [] : input.value
  const value = optionTable[key].type === 'list' ? checkOption(key, items) : parseOption(key, input.value[0] ?? '')
  const module = await context.loadDaemonModule()
  const { changed } = module.setOption(context.paths, { key, value }, context.environment)
  const isRunning = await new ControlClient(context.paths).call('daemon', {}, { signal: context.signal, deadlineMs: 5_000 }).then(
    () => true,
    () => false
  )
  const answer = { option: key, value: plain(shownValue(key, value)), changed, file: context.paths.configFile, restartNeeded: changed && isRunning }
  await context.output.result(answer, (shown) => renderers.configSet(shown, context.output))
}

export async function configPath(_input: object, { paths, output }: CommandContext): Promise<void> {
  const answer = { config: paths.configFile, state: paths.stateFolder, log: paths.logFile, socket: paths.socketPath }
  await output.result(answer, (value) => renderers.configPath(value, output))
}

export async function configCheck(_input: object, context: CommandContext): Promise<void> {
  const module = await context.loadDaemonModule()
  const { exists, set } = module.inspectProfile(context.paths, context.environment)
  if (!exists) throw new MeshError('NOT_INITIALIZED', { profile: context.paths.profile })
  const answer = { file: context.paths.configFile, valid: true as const, options: set }
  await context.output.result(answer, (value) => renderers.configCheck(value, context.output))
}
