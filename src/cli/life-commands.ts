import { resolve } from 'node:path'
import { type Catalogue, ControlClient, type InputOf } from '../api/index.ts'
import { MeshError } from '../core/base/index.ts'
import { checkOption, environmentName, type OptionKey, type OptionValue } from '../core/options/index.ts'
import type { CommandContext } from './context.ts'
import { daemonArguments, daemonEnvironment, ensureDaemonProcess, requireProfile, startDaemonProcess, stopDaemon, whoRuns } from './daemon-process.ts'
import { renderers } from './render.ts'

type InitInput = InputOf<Catalogue['init']>

/** A path from where the command line is: the daemon is elsewhere. A zero byte is told by the option. */
const absolutePath = (path: string): string => (path === '' || path.includes('\0') ? path : resolve(path))

/** Which option each flag of `init` sets. */
const settingsOf = (input: InitInput): readonly (readonly [OptionKey, OptionValue | undefined, string])[] => [
  ['name', input.name, '--name'],
  ['network', input.network, '--network'],
  ['listen_addrs', input.listen, '--listen'],
  ['bootstrap_peers', input.bootstrap, '--bootstrap'],
  ['relays', input.relay, '--relay'],
  ['announce_addrs', input.announce, '--announce'],
  ['stun_servers', input.stun, '--stun'],
  ['turn_servers', input.turn, '--turn'],
  ['max_peers', input.maxPeers, '--max-peers'],
  ['mdns', input.mdns, '--mdns'],
  ['nat_traversal', input.nat, '--nat'],
  ['quantum_resistant', input.quantum, '--quantum'],
  ['onion_routing', input.onion, '--onion'],
  ['onion_relay', input.noRelay === undefined ? undefined : !input.noRelay, '--no-relay'],
  ['passphrase_file', input.passphraseFile === undefined ? undefined : absolutePath(input.passphraseFile), '--passphrase-file'],
  ['shadow_addresses', input.shadow, '--shadow']
]

/** Makes identity and configuration where they are missing, changes what is told, and starts the daemon. */
export async function init(input: InitInput, context: CommandContext): Promise<void> {
  const settings: Record<string, OptionValue> = {}
  for (const [key, value, flag] of settingsOf(input)) if (value !== undefined) settings[key] = checkOption(key, value, flag)
  const { paths, globals, output, environment } = context
  output.progress('preparing the profile')
  const module = await context.loadDaemonModule()
  const prepared = await module.prepareProfile(paths, settings, environment)
  const running = globals.start ? await runWith(prepared.changed.length > 0, context) : undefined
  const { options } = prepared
  const answer = {
    peerId: prepared.peerId,
    profile: paths.profile,
    created: prepared.created,
    changed: prepared.changed.map(({ option, value }) => ({ option, value: plain(value) })),
    features: {
      quantum: { policy: options.quantumResistant ? ('require' as const) : ('prefer' as const), level: options.mlkemSecurityLevel },
      onion: options.onionRouting,
      onionRelay: options.onionRouting && options.onionRelay,
      shadow: options.shadowAddresses
    },
    maxPeers: options.maxPeers,
    name: options.name,
    network: options.network,
    config: paths.configFile,
    addresses: running?.addresses ?? [],
    ...(running === undefined ? {} : { daemon: { pid: running.pid, socket: running.socket } })
  }
  for (const [wanted, taken] of movedPorts(options.listenAddrs, answer.addresses))
    output.note(`port ${wanted} is in use: listening on ${taken} instead`)
  await output.result(answer, (value) => renderers.init(value, output))
}

const portOf = (address: string): string => /\/tcp\/(\d+)/.exec(address)?.[1] ?? '0'
const kindOf = (address: string): string => (address.includes('/ws') ? 'ws' : 'tcp')

/** The ports that were asked for and taken by others, each with the one that came in its place. */
export function movedPorts(wanted: readonly string[], actual: readonly string[]): ReadonlyMap<string, string> {
  const moved = new Map<string, string>()
  for (const address of wanted) {
    const port = portOf(address)
    const instead = actual.filter((each) => kindOf(each) === kindOf(address)).map(portOf)
    const [first] = instead
    if (port !== '0' && first !== undefined && !instead.includes(port)) moved.set(port, first)
  }
  return moved
}

export const plain = (value: OptionValue): boolean | number | string | string[] => (typeof value === 'object' ? [...value] : value)

/** The daemon, with the configuration as it is now: one that runs with an older one is started again. */
async function runWith(isChanged: boolean, context: CommandContext) {
  const client = new ControlClient(context.paths)
  const running = await whoRuns(client, context)
  if (running !== undefined && !isChanged) return running
  if (running !== undefined) {
    context.output.note('restarting the daemon with what changed')
    await stopDaemon(context, client)
  }
  context.output.progress('starting the daemon')
  await ensureDaemonProcess(context, client)
  return client.call('daemon', {}, { signal: context.signal })
}

export async function start(input: InputOf<Catalogue['start']>, context: CommandContext): Promise<MeshError | undefined> {
  requireProfile(context)
  const client = new ControlClient(context.paths)
  const running = await whoRuns(client, context)
  if (running !== undefined) throw new MeshError('DAEMON_RUNNING', { profile: context.paths.profile, pid: running.pid })
  const unlocked = withPassphrase(context, input.passphraseFile)
  if (input.foreground) return runInForeground(unlocked)
  await reportStart(unlocked, client, 'start')
  return undefined
}

/** The daemon is told by its environment where its passphrase is; the passphrase itself is in no argument and no environment. */
const withPassphrase = (context: CommandContext, file: string | undefined): CommandContext =>
  file === undefined ? context : { ...context, environment: { ...context.environment, [environmentName('passphrase_file')]: absolutePath(file) } }

/** A daemon that could not start again is not stopped. @throws {MeshError} PASSPHRASE_NEEDED, and what the key file says */
async function requirePassphrase({ loadDaemonModule, paths, environment }: CommandContext, given: string | undefined): Promise<void> {
  if (given !== undefined) return
  const module = await loadDaemonModule()
  const { encrypted, file } = (await module.tools()).showKeys(paths)
  if (encrypted && module.inspectProfile(paths, environment).options.passphraseFile === '') throw new MeshError('PASSPHRASE_NEEDED', { file })
}

export async function restart(input: InputOf<Catalogue['restart']>, context: CommandContext): Promise<void> {
  requireProfile(context)
  const client = new ControlClient(context.paths)
  await requirePassphrase(context, input.passphraseFile)
  context.output.progress('stopping the daemon')
  await stopDaemon(context, client)
  await reportStart(withPassphrase(context, input.passphraseFile), client, 'restart')
}

async function reportStart(context: CommandContext, client: ControlClient, name: 'start' | 'restart'): Promise<void> {
  context.output.progress('starting the daemon')
  await startDaemonProcess(context, client)
  const { pid, socket, addresses } = await client.call('daemon', {}, { signal: context.signal })
  await context.output.result({ profile: context.paths.profile, started: true, pid, socket, addresses }, (value) =>
    renderers[name](value, context.output)
  )
}

/** Ends with the daemon: it gets this terminal, and the signals that come here. */
async function runInForeground(context: CommandContext): Promise<MeshError | undefined> {
  const { spawn } = await import('node:child_process')
  const child = spawn(process.execPath, [...daemonArguments(context)], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: daemonEnvironment(context.environment)
  })
  context.output.note(`daemon of profile ${context.paths.profile} runs in the foreground, pid ${child.pid ?? ''}`)
  const stopChild = (): void => void child.kill('SIGTERM')
  context.signal.addEventListener('abort', stopChild, { once: true })
  const { promise, resolve } = Promise.withResolvers<number | null>()
  child.once('error', () => resolve(null))
  child.once('exit', resolve)
  const code = await promise
  if (code === 0) return undefined
  return new MeshError('DAEMON_START_FAILED', { profile: context.paths.profile, reason: `it ended with exit code ${code}` })
}

export async function stop(_input: object, context: CommandContext): Promise<void> {
  requireProfile(context)
  context.output.progress('stopping the daemon')
  const pid = await stopDaemon(context, new ControlClient(context.paths))
  const answer = { profile: context.paths.profile, stopped: pid !== undefined, ...(pid === undefined ? {} : { pid }) }
  await context.output.result(answer, (value) => renderers.stop(value, context.output))
}
