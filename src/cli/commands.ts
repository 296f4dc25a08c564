import type { Catalogue, CommandName, InputOf, OutputOf } from '../api/index.ts'
import type { MeshError } from '../core/base/index.ts'
import { configCheck, configGet, configPath, configSet } from './config-commands.ts'
import { contentInput, readStdin } from './content.ts'
import type { CommandContext } from './context.ts'
import { init, restart, start, stop } from './life-commands.ts'
import { outcomeOf } from './outcome.ts'
import { RemoteDaemon } from './remote.ts'
import { renderers } from './render.ts'

const simple =
  <
    Name extends
      | 'wait'
      | 'discover'
      | 'inboxList'
      | 'inboxAck'
      | 'outboxList'
      | 'outboxRetry'
      | 'outboxCancel'
      | 'invite'
      | 'peers'
      | 'status'
      | 'ping'
      | 'metrics'
  >(
    name: Name,
    doing: string
  ) =>
  async (input: InputOf<Catalogue[Name]>, context: CommandContext): Promise<void> => {
    context.output.progress(doing)
    await using daemon = new RemoteDaemon(context)
    const answer = await daemon.call(name, input as never)
    await context.output.result(answer as OutputOf<Catalogue[Name]>, (value) =>
      (renderers[name] as (value: OutputOf<Catalogue[Name]>, output: CommandContext['output']) => readonly string[])(value, context.output)
    )
  }

async function message(input: InputOf<Catalogue['message']>, context: CommandContext): Promise<MeshError | undefined> {
  context.output.progress(`waiting for ${input.destination}`)
  const sent = input.content === '-' ? { ...input, ...contentInput(await readStdin(context.stdin)) } : input
  await using daemon = new RemoteDaemon(context)
  const report = await daemon.call('message', sent)
  await context.output.result(report, (value) => renderers.message(value, context.output))
  return input.request ? undefined : outcomeOf(report, input)
}

async function inboxReply(input: InputOf<Catalogue['inboxReply']>, context: CommandContext): Promise<MeshError | undefined> {
  const sent = input.content === '-' ? { ...input, ...contentInput(await readStdin(context.stdin)) } : input
  await using daemon = new RemoteDaemon(context)
  const report = await daemon.call('inboxReply', sent)
  await context.output.result(report, (value) => renderers.inboxReply(value, context.output))
  return outcomeOf(report, { wait: 'stored', volatile: false })
}

async function inboxRead({ ack, ...input }: InputOf<Catalogue['inboxRead']>, context: CommandContext): Promise<void> {
  await using daemon = new RemoteDaemon(context)
  const answer = await daemon.call('inboxRead', input)
  await context.output.result(answer, (value) => renderers.inboxRead(value, context.output))
  if (!ack) return
  // After the answer is out: who dies before gets them again.
  for (const { id, source, read } of answer.messages) if (!read) await daemon.call('inboxAck', { id: [id], from: source })
}

async function listen({ ack, ...input }: InputOf<Catalogue['listen']>, context: CommandContext): Promise<void> {
  await using daemon = new RemoteDaemon(context)
  for await (const arrived of daemon.stream('listen', input)) {
    await context.output.result(arrived, (value) => renderers.listen(value, context.output))
    if (ack && arrived.delivery === 'durable') await daemon.call('inboxAck', { id: [arrived.id], from: arrived.source })
  }
}

async function join(input: InputOf<Catalogue['join']>, context: CommandContext): Promise<void> {
  context.output.progress('pairing')
  const invite = input.invite === '-' ? (await readStdin(context.stdin, 1_024)).toString('utf8').trim() : input.invite
  await using daemon = new RemoteDaemon(context)
  const answer = await daemon.call('join', { ...input, invite })
  await context.output.result(answer, (value) => renderers.join(value, context.output))
}

/** What each command does; an error that is returned decides the exit code after the answer was printed. What few need is loaded when it is asked for. */
export const commands: {
  readonly [Name in CommandName]: (input: InputOf<Catalogue[Name]>, context: CommandContext) => Promise<MeshError | undefined | void>
} = {
  init,
  start,
  stop,
  restart,
  logs: async (input, context) => (await import('./logs-command.ts')).logs(input, context),
  wait: simple('wait', 'waiting for peers'),
  discover: simple('discover', 'looking for peers'),
  message,
  inboxList: simple('inboxList', 'reading the inbox'),
  inboxRead,
  inboxAck: simple('inboxAck', 'acknowledging'),
  inboxReply,
  outboxList: simple('outboxList', 'reading the outbox'),
  outboxRetry: simple('outboxRetry', 'trying again'),
  outboxCancel: simple('outboxCancel', 'cancelling'),
  listen,
  invite: simple('invite', 'making an invite'),
  join,
  peers: simple('peers', 'looking at peers'),
  status: simple('status', 'asking the daemon'),
  ping: simple('ping', 'waiting for the answer'),
  metrics: simple('metrics', 'asking the daemon'),
  configGet,
  configSet,
  configPath,
  configCheck,
  demo: async (input, context) => (await import('./demo/demo.ts')).demo(input, context)
}
