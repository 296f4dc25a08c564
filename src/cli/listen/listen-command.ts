import type { Catalogue, InputOf } from '../../api/index.ts'
import { isMeshError, MeshError } from '../../core/base/index.ts'
import type { CommandContext } from '../context.ts'
import { RemoteDaemon } from '../remote.ts'
import { renderers } from '../render.ts'

export type ListenInput = InputOf<Catalogue['listen']>

/** Prints messages as they arrive, or hands them to a program or a web address. */
export async function listen(input: ListenInput, context: CommandContext): Promise<MeshError | undefined> {
  if (input.exec !== undefined || input.webhook !== undefined) return (await import('./wake.ts')).wake(input, context)
  if ((input.args ?? []).length > 0) throw new MeshError('USAGE', { problem: 'Words after -- belong to a program: name it with --exec' })
  if (input.reply) throw new MeshError('USAGE', { problem: '--reply sends what a handler answers: name one with --exec or --webhook' })
  await print(input, context)
  return undefined
}

/** What of the input is the daemon's. */
export function asked({ type, from, label, consumer, once }: ListenInput) {
  return { type, from, label, consumer, once }
}

async function print(input: ListenInput, context: CommandContext): Promise<void> {
  const { ack, consumer, timeoutMs } = input
  await using daemon = new RemoteDaemon(context)
  const timeout = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)
  let printed = 0
  try {
    for await (const arrived of daemon.stream('listen', asked(input), timeout)) {
      await context.output.result(arrived, (value) => renderers.listen(value, context.output))
      printed++
      if (ack && arrived.delivery === 'durable') await daemon.call('inboxAck', { id: [arrived.id], from: arrived.source, consumer })
    }
  } catch (error) {
    if (timeout?.aborted !== true || context.signal.aborted || !isMeshError(error, 'ABORTED')) throw error
    if (printed === 0) throw new MeshError('TIMEOUT', { operation: 'Listening for a message', timeoutMs })
  }
}
