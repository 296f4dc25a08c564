import type { Catalogue, InputOf, OutputOf } from '../api/index.ts'
import { MeshError, version } from '../core/base/index.ts'
import type { CommandContext } from './context.ts'
import { RemoteDaemon } from './remote.ts'
import { renderers } from './render.ts'

/** Prints what a shell needs to complete commands. */
export async function completion({ shell }: InputOf<Catalogue['completion']>, { output }: CommandContext): Promise<void> {
  const { scripts } = await import('./completion/scripts.ts')
  await output.result({ shell, script: scripts[shell] }, (value) => renderers.completion(value, output))
}

/** Prints what the program can do, for machines: one JSON value, with line breaks unless --json is said. */
export async function contextOfAll({ command = [] }: InputOf<Catalogue['context']>, { output }: CommandContext): Promise<void> {
  const { contextDocument } = await import('../api/context-document.ts')
  await output.result(await contextDocument(version, command), (value) => renderers.context(value, output))
}

/** Goes the way to a peer, prints the steps, and ends with the error of the step at which it ended. */
export async function trace(input: InputOf<Catalogue['trace']>, context: CommandContext): Promise<MeshError | undefined> {
  context.output.progress(`on the way to ${input.peer}`)
  await using daemon = new RemoteDaemon(context)
  const report = await daemon.call('trace', input)
  await context.output.result(report, (value) => renderers.trace(value, context.output))
  return traceOutcome(report)
}

/** The error of the step that failed, in its own words. */
export function traceOutcome({ steps, wanted }: OutputOf<Catalogue['trace']>): MeshError | undefined {
  const failed = steps.find(({ state }) => state === 'failed')
  if (failed?.error === undefined) return undefined
  const error = new MeshError(failed.error.code, { peer: wanted, name: wanted, candidates: [], nearest: [] })
  error.message = failed.error.message
  return error
}
