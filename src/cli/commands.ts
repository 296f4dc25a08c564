import type { Catalogue, CommandName, InputOf, OutputOf } from '../api/index.ts'
import { type MeshError } from '../core/base/index.ts'
import { configCheck, configGet, configPath, configSet } from './config-commands.ts'
import { contentInput, readStdin } from './content.ts'
import type { CommandContext } from './context.ts'
import { handledMessage } from './handled-message.ts'
import { init, restart, start, stop } from './life-commands.ts'
import { natOutcome, outcomeOf } from './outcome.ts'
import { RemoteDaemon } from './remote.ts'
import { renderers } from './render.ts'

const simple =
  <
    Name extends
      | 'wait'
      | 'discover'
      | 'inboxList'
      | 'inboxAck'
      | 'inboxConsumers'
      | 'agentAdd'
      | 'agentList'
      | 'agentRemove'
      | 'outboxList'
      | 'outboxRetry'
      | 'outboxCancel'
      | 'peers'
      | 'status'
      | 'ping'
      | 'quantum'
      | 'netcheck'
      | 'circuitList'
      | 'circuitClose'
      | 'trust'
      | 'pending'
      | 'approve'
      | 'peerList'
      | 'peerRename'
      | 'peerTrust'
      | 'peerBlock'
      | 'peerRemove'
      | 'inviteList'
      | 'inviteRevoke'
      | 'inviteWait'
      | 'metrics'
      | 'groupCreate'
      | 'groupAdd'
      | 'groupRemove'
      | 'groupList'
      | 'groupLeave'
      | 'groupDelete'
      | 'gatewayStop'
      | 'tokenList'
      | 'tokenRevoke'
  >(
    name: Name,
    doing: string
  ) =>
  async (input: InputOf<Catalogue[Name]>, context: CommandContext): Promise<void> => {
    context.output.progress(doing)
    await using daemon = new RemoteDaemon(context)
    const answer = await daemon.call(name, input as never)
    const render = renderers[name] as (value: OutputOf<Catalogue[Name]>, output: CommandContext['output'], input: object) => readonly string[]
    await context.output.result(answer as OutputOf<Catalogue[Name]>, (value) => render(value, context.output, input))
  }

async function message(input: InputOf<Catalogue['message']>, context: CommandContext): Promise<MeshError | undefined> {
  context.output.progress(`waiting for ${input.destination}`)
  const sent = { ...input, ...handledMessage(context.environment), ...(input.cause === undefined ? {} : { cause: input.cause }) }
  const piped = input.content === '-' ? contentInput(await readStdin(context.stdin)) : {}
  await using daemon = new RemoteDaemon(context)
  const report = await daemon.call('message', { ...sent, ...piped })
  await context.output.result(report, (value) => renderers.message(value, context.output))
  return input.request ? undefined : outcomeOf(report, input)
}

async function inboxReply(input: InputOf<Catalogue['inboxReply']>, context: CommandContext): Promise<MeshError | undefined> {
  const automatic = input.automatic || handledMessage(context.environment) !== undefined
  const piped = input.content === '-' ? contentInput(await readStdin(context.stdin)) : {}
  await using daemon = new RemoteDaemon(context)
  const report = await daemon.call('inboxReply', { ...input, ...piped, automatic })
  await context.output.result(report, (value) => renderers.inboxReply(value, context.output))
  return outcomeOf(report, { wait: 'stored', volatile: false })
}

async function inboxRead({ ack, ...input }: InputOf<Catalogue['inboxRead']>, context: CommandContext): Promise<void> {
  const { output } = context
  await using daemon = new RemoteDaemon(context)
  const answer = await daemon.call('inboxRead', input)
  await output.result(answer, (value) => renderers.inboxRead(value, output))
  const open = answer.messages.filter(({ read }) => !read)
  if (open.length === 0) return
  if (!ack) return output.note(`not acknowledged, so given out again; to end that: ${output.proposal('inbox read --ack')}`)
  // After the answer is out: who dies before gets them again.
  for (const { id, source } of open) await daemon.call('inboxAck', { id: [id], from: source, consumer: input.consumer })
  output.note(`${open.length === 1 ? '1 message' : `${open.length} messages`} acknowledged`)
}

async function join(input: InputOf<Catalogue['join']>, context: CommandContext): Promise<void> {
  context.output.progress('pairing')
  const invite = input.invite === '-' ? (await readStdin(context.stdin, 1_024)).toString('utf8').trim() : input.invite
  await using daemon = new RemoteDaemon(context)
  const answer = await daemon.call('join', { ...input, invite })
  await context.output.result(answer, (value) => renderers.join(value, context.output))
}

async function nat(input: InputOf<Catalogue['nat']>, context: CommandContext): Promise<MeshError | undefined> {
  context.output.progress(`looking for the best way to ${input.peer}`)
  await using daemon = new RemoteDaemon(context)
  const report = await daemon.call('nat', input)
  await context.output.result(report, (value) => renderers.nat(value, context.output))
  return natOutcome(report)
}

async function circuitOpen(input: InputOf<Catalogue['circuitOpen']>, context: CommandContext): Promise<void> {
  context.output.progress(`building a circuit to ${input.peer}`)
  await using daemon = new RemoteDaemon(context)
  const report = await daemon.call('circuitOpen', input)
  await context.output.result(report, (value) => renderers.circuitOpen(value, context.output))
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
  listen: async (input, context) => (await import('./listen/listen-command.ts')).listen(input, context),
  agentAdd: simple('agentAdd', 'naming the agent'),
  agentList: simple('agentList', 'looking at agents'),
  agentRemove: simple('agentRemove', 'taking the name back'),
  inboxConsumers: simple('inboxConsumers', 'looking at the readers of the inbox'),
  invite: async (input, context) => (await import('./pairing-commands.ts')).invite(input, context),
  inviteList: simple('inviteList', 'reading the invites'),
  inviteRevoke: simple('inviteRevoke', 'taking the invite back'),
  inviteWait: simple('inviteWait', 'waiting for the peer'),
  join,
  peers: simple('peers', 'looking at peers'),
  pending: simple('pending', 'looking who waits'),
  approve: simple('approve', 'pairing'),
  peerList: simple('peerList', 'looking at peers'),
  peerRename: simple('peerRename', 'renaming the peer'),
  peerTrust: simple('peerTrust', 'changing what the peer may do'),
  peerBlock: simple('peerBlock', 'blocking the peer'),
  peerRemove: simple('peerRemove', 'removing the peer'),
  status: simple('status', 'asking the daemon'),
  ping: simple('ping', 'waiting for the answer'),
  quantum: simple('quantum', 'opening a session'),
  nat,
  netcheck: simple('netcheck', 'asking STUN servers and relays'),
  circuitOpen,
  circuitList: simple('circuitList', 'looking at circuits'),
  circuitClose: simple('circuitClose', 'ending the circuit'),
  trust: simple('trust', 'forgetting what the peer could do'),
  groupCreate: simple('groupCreate', 'making the group'),
  groupAdd: simple('groupAdd', 'adding members'),
  groupRemove: simple('groupRemove', 'removing members'),
  groupList: simple('groupList', 'looking at groups'),
  groupLeave: simple('groupLeave', 'leaving the group'),
  groupDelete: simple('groupDelete', 'ending the group'),
  metrics: simple('metrics', 'asking the daemon'),
  gateway: async (input, context) => (await import('./gateway-commands.ts')).gateway(input, context),
  gatewayStop: simple('gatewayStop', 'stopping the gateway'),
  tokenCreate: async (input, context) => (await import('./gateway-commands.ts')).tokenCreate(input, context),
  tokenList: simple('tokenList', 'looking at tokens'),
  tokenRevoke: simple('tokenRevoke', 'revoking the token'),
  configGet,
  configSet,
  configPath,
  configCheck,
  keysShow: async (input, context) => (await import('./keys-commands.ts')).keysShow(input, context),
  keysBackup: async (input, context) => (await import('./keys-commands.ts')).keysBackup(input, context),
  keysRestore: async (input, context) => (await import('./keys-commands.ts')).keysRestore(input, context),
  keysPasswd: async (input, context) => (await import('./keys-commands.ts')).keysPasswd(input, context),
  doctor: async (input, context) => (await import('./doctor-command.ts')).doctor(input, context),
  bugreport: async (input, context) => (await import('./doctor-command.ts')).bugreport(input, context),
  top: async (input, context) => (await import('./top-command.ts')).top(input, context),
  trace: async (input, context) => (await import('./comfort-commands.ts')).trace(input, context),
  bench: async (input, context) => (await import('./bench-command.ts')).bench(input, context),
  serviceInstall: async (input, context) => (await import('./service/service-commands.ts')).serviceInstall(input, context),
  serviceUninstall: async (input, context) => (await import('./service/service-commands.ts')).serviceUninstall(input, context),
  serviceStatus: async (input, context) => (await import('./service/service-commands.ts')).serviceStatus(input, context),
  servicePrint: async (input, context) => (await import('./service/service-commands.ts')).servicePrint(input, context),
  completion: async (input, context) => (await import('./comfort-commands.ts')).completion(input, context),
  context: async (input, context) => (await import('./comfort-commands.ts')).contextOfAll(input, context),
  help: async (input, context) => (await import('./help-command.ts')).help(input, context),
  relayServe: async (input, context) => (await import('./relay-commands.ts')).relayServe(input, context),
  demo: async (input, context) => (await import('./demo/demo.ts')).demo(input, context)
}
