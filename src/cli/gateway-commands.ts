import type { Catalogue, InputOf } from '../api/index.ts'
import { isMeshError } from '../core/base/index.ts'
import type { CommandContext } from './context.ts'
import { RemoteDaemon } from './remote.ts'
import { renderers } from './render.ts'

/** Says where the gateway listens; when this started it, stays until it is interrupted, and the gateway ends with it. */
export async function gateway(input: InputOf<Catalogue['gateway']>, context: CommandContext): Promise<void> {
  const { output, signal } = context
  output.progress('starting the gateway')
  await using daemon = new RemoteDaemon(context)
  try {
    for await (const place of daemon.stream('gateway', input)) {
      await output.result(place, (value) => renderers.gateway(value, output))
      if (place.started && !input.print) output.note('it ends with this command: Ctrl-C')
      else if (!place.started) output.note(`it ran already; to end it: ${output.proposal('gateway stop')}`)
    }
  } catch (error) {
    // Being told to end is how it ends.
    if (!signal.aborted || !isMeshError(error, 'ABORTED')) throw error
  }
}

/** The token on stdout, what to know about it on stderr. */
export async function tokenCreate(input: InputOf<Catalogue['tokenCreate']>, context: CommandContext): Promise<void> {
  const { output } = context
  output.progress('making a token')
  await using daemon = new RemoteDaemon(context)
  const answer = await daemon.call('tokenCreate', input)
  output.note('shown this once: keep it in a file of mode 0600, never in an argument or the environment')
  await output.result(answer, (value) => renderers.tokenCreate(value, output))
}
