import { createHash } from 'node:crypto'
import { messageTypeNames } from '../../api/index.ts'
import { isMeshError, MeshError, toMeshError } from '../../core/base/index.ts'
import { messageLimits } from '../../core/message/types.ts'
import { contentInput } from '../content.ts'
import type { CommandContext } from '../context.ts'
import { safeBody } from '../output.ts'
import { RemoteDaemon } from '../remote.ts'
import { renderers } from '../render.ts'
import { Dispatcher, type Ending, type Finished, type HandledReport, pause } from './dispatcher.ts'
import { checkProgram, execHandler } from './exec-handler.ts'
import { type Handle, type Handled, type HeardMessage, keptBytes } from './handler.ts'
import { asked, type ListenInput } from './listen-command.ts'
import { ProcessGroups } from './process-groups.ts'
import { checkWebhookUrl, webhookHandler } from './webhook-handler.ts'
import { splitWords } from './words.ts'

const defaultExecMs = 60_000
/** How long a daemon that restarts is waited for. */
const daemonMs = 60_000
const askAgainMs = 500
const variableName = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

/** Hands each message to a program or a web address. */
export async function wake(input: ListenInput, context: CommandContext): Promise<MeshError | undefined> {
  const groups = new ProcessGroups()
  const endAll = (): void => groups.endAll()
  process.once('exit', endAll)
  try {
    const handle = input.exec === undefined ? await webhookOf(input, context) : programOf(input, context, groups)
    await using daemon = new RemoteDaemon(context)
    // From here on a daemon that somebody stops stays stopped.
    await daemon.call('daemon', {})
    await using later = new RemoteDaemon({ ...context, globals: { ...context.globals, start: false, ephemeral: false } })
    return await new Waker(input, context, { handle, daemon: context.globals.ephemeral ? daemon : later }).run()
  } finally {
    process.off('exit', endAll)
    endAll()
  }
}

function programOf(input: ListenInput, context: CommandContext, groups: ProcessGroups): Handle {
  const { webhook, webhookSecretFile, exec = '', args = [], env = [] } = input
  if (webhook !== undefined || webhookSecretFile !== undefined) throw new MeshError('USAGE', { problem: 'Either --exec or --webhook, not both' })
  for (const name of env)
    if (!variableName.test(name))
      throw new MeshError('OPTION_INVALID', { path: '--env', value: JSON.stringify(name.slice(0, 80)), allowed: 'the name of a variable' })
  const words = [...splitWords(exec), ...args]
  checkProgram(words, context.environment)
  const { profile, dataDir, config } = context.globals
  return execHandler({
    words,
    env,
    groups,
    environment: context.environment,
    profile: {
      SYNAPTIC_MESH_PROFILE: profile,
      ...(dataDir === undefined ? {} : { SYNAPTIC_MESH_DATA_DIR: dataDir }),
      ...(config === undefined ? {} : { SYNAPTIC_MESH_CONFIG: config })
    },
    timeoutMs: input.execTimeoutMs ?? defaultExecMs,
    answerBytes: answerBytes(input)
  })
}

async function webhookOf(input: ListenInput, context: CommandContext): Promise<Handle> {
  const { webhook = '', webhookSecretFile, args = [], env = [], execTimeoutMs } = input
  if (args.length > 0 || env.length > 0 || execTimeoutMs !== undefined)
    throw new MeshError('USAGE', { problem: '--env, --exec-timeout and words after -- belong to --exec' })
  const url = checkWebhookUrl(webhook)
  const { file, secret, created } = (await context.loadDaemonModule()).webhookSecret(context.paths, webhookSecretFile)
  context.output.note(created ? `a new key signs what is posted: ${file}` : `signed with the key in ${file}`)
  return webhookHandler({ url, secret, answerBytes: answerBytes(input) })
}

const answerBytes = ({ reply }: ListenInput): number => (reply ? messageLimits.bodyBytes : keptBytes)

/** A handler gets Commands only where they were named: whoever may send them decides what runs here. */
const typesOf = ({ type }: ListenInput): readonly (typeof messageTypeNames)[number][] =>
  type === undefined || type.length === 0 ? messageTypeNames.filter((name) => name !== 'command') : type

interface WakerParts {
  readonly handle: Handle
  readonly daemon: RemoteDaemon
}

/** One `listen` with a handler, from its first message to its last. */
class Waker {
  readonly #input: ListenInput
  readonly #context: CommandContext
  readonly #daemon: RemoteDaemon
  readonly #dispatcher: Dispatcher
  readonly #timeout: AbortSignal | undefined
  /** What this listener works on, or gave up: not taken again when the daemon comes back and gives everything out anew. */
  readonly #inHand = new Set<string>()
  /** Aborts, with its reason, when a result can be told to nobody: then nothing more is taken. */
  readonly #failed = new AbortController()
  #last: HandledReport | undefined
  #taken = 0

  constructor(input: ListenInput, context: CommandContext, { handle, daemon }: WakerParts) {
    this.#input = input
    this.#context = context
    this.#daemon = daemon
    this.#timeout = input.timeoutMs === undefined ? undefined : AbortSignal.timeout(input.timeoutMs)
    this.#dispatcher = new Dispatcher({
      handle,
      maxRunning: input.maxRunning,
      attempts: input.attempts,
      interrupted: context.signal,
      finish: (message, handled) => this.#finish(message, handled),
      report: (report) => this.#report(report)
    })
  }

  async run(): Promise<MeshError | undefined> {
    const endings: Promise<Ending>[] = []
    try {
      for await (const message of this.#messages()) {
        // What had arrived together is still to come: it stays in the inbox.
        if (this.#hasEnded()) break
        const key = keyOf(message)
        if (this.#inHand.has(key)) continue
        this.#inHand.add(key)
        const { finished } = await this.#dispatcher.take(message)
        this.#taken++
        finished.then(
          (ending) => ending === 'acknowledged' && this.#inHand.delete(key),
          (error: unknown) => this.#failed.abort(error)
        )
        if (this.#input.once) endings.push(finished)
      }
    } finally {
      await this.#dispatcher.settle()
    }
    this.#failed.signal.throwIfAborted()
    if (this.#context.signal.aborted) throw new MeshError('ABORTED', { operation: 'listen' })
    if (this.#taken === 0 && this.#hasEnded())
      throw new MeshError('TIMEOUT', { operation: 'Listening for a message', timeoutMs: this.#input.timeoutMs })
    const [ending] = await Promise.all(endings)
    const { handled = '', attempts = 0, reason } = this.#last ?? {}
    return ending === 'given-up' ? new MeshError('HANDLER_FAILED', { id: handled, attempts, reason }) : undefined
  }

  /** What arrives, over restarts of the daemon. */
  async *#messages(): AsyncGenerator<HeardMessage> {
    const request = { ...asked(this.#input), type: typesOf(this.#input), claim: true }
    const { signal: failed } = this.#failed
    const limit = this.#timeout === undefined ? failed : AbortSignal.any([this.#timeout, failed])
    for (;;) {
      try {
        yield* this.#daemon.stream('listen', request, limit)
        if (this.#input.once || this.#hasEnded()) return
      } catch (error) {
        if (this.#hasEnded()) return
        if (!isGone(error)) throw error
      }
      await this.#patiently(() => this.#daemon.call('daemon', {}))
    }
  }

  /** Whether no more shall be taken: the time is over, Ctrl-C, or nobody hears the results. */
  #hasEnded(): boolean {
    return this.#timeout?.aborted === true || this.#failed.signal.aborted || this.#context.signal.aborted
  }

  async #finish(message: HeardMessage, handled: Handled): Promise<Finished> {
    const { consumer, reply } = this.#input
    try {
      const sent = reply && message.expectsReply ? await this.#patiently(() => this.#answer(message, handled)) : undefined
      if (message.delivery === 'durable')
        await this.#patiently(() => this.#daemon.call('inboxAck', { id: [message.id], from: message.source, consumer }))
      return sent === undefined ? {} : { reply: sent }
    } catch (error) {
      if (isGone(error) || this.#context.signal.aborted) throw error
      return { problem: toMeshError(error).message }
    }
  }

  /** Sends the Response. Its id belongs to the message: whoever handles that once more sends no second answer. */
  async #answer(message: HeardMessage, { answer, dropped }: Handled): Promise<string> {
    if (answer.length >= messageLimits.bodyBytes && dropped.stdout > 0)
      throw new MeshError('BODY_TOO_LARGE', { bytes: answer.length + dropped.stdout, max: messageLimits.bodyBytes })
    const id = `re-${createHash('sha256').update(`${message.source} ${message.id}`).digest('base64url').slice(0, 32)}`
    try {
      await this.#daemon.call('message', {
        destination: message.source,
        ...contentInput(answer),
        msgType: 'response',
        id,
        inReplyTo: message.id,
        label: message.toLabel,
        toLabel: message.label,
        volatile: message.delivery === 'volatile',
        wait: 'accepted',
        automatic: true
      })
    } catch (error) {
      // An earlier try has sent one, perhaps in other words: it stands.
      if (!isMeshError(error, 'ID_CONFLICT')) throw error
    }
    return id
  }

  async #report(report: HandledReport): Promise<void> {
    const { output } = this.#context
    this.#last = report
    await output.result(report, (value) => renderers.listen(value, output))
    if (report.stderr !== '') output.note(safeBody(report.stderr.trimEnd()))
  }

  /** Does `work`; while the daemon is away, which may be a restart, again and again for a minute. */
  async #patiently<T>(work: () => Promise<T>): Promise<T> {
    const deadline = performance.now() + daemonMs
    for (;;) {
      try {
        return await work()
      } catch (error) {
        if (!isGone(error) || this.#context.signal.aborted || performance.now() > deadline) throw error
        await pause(askAgainMs, this.#context.signal)
      }
    }
  }
}

const keyOf = ({ source, id }: HeardMessage): string => `${source} ${id}`

/** Whether the daemon is away, or about to go. */
const isGone = (error: unknown): boolean => isMeshError(error, 'DAEMON_UNREACHABLE') || isMeshError(error, 'SHUTTING_DOWN')
