import { isIP } from 'node:net'
import { type Catalogue, ControlClient, fromWireError, type InputOf } from '../api/index.ts'
import { MeshError } from '../core/base/index.ts'
import { checkOption, type MeshOptions, type OptionKey, type OptionValue } from '../core/options/index.ts'
import type { CommandContext } from './context.ts'
import { daemonArguments, daemonEnvironment, readNotice, whoRuns } from './daemon-process.ts'
import { renderers } from './render.ts'

type Input = InputOf<Catalogue['relayServe']>

const newRelay = { port: 9_000, wsPort: 443, host: ['0.0.0.0', '::'] } as const
/** How long the node may take to open its ports; a large store is checked first. */
const startMs = 60_000

/** Makes the profile a relay, runs it in the foreground, and says how others use it once its ports are open. */
export async function relayServe(input: Input, context: CommandContext): Promise<MeshError | undefined> {
  const { paths, environment, output } = context
  const client = new ControlClient(paths)
  const running = await whoRuns(client, context)
  if (running !== undefined) throw new MeshError('DAEMON_RUNNING', { profile: paths.profile, pid: running.pid })
  const module = await context.loadDaemonModule()
  const before = module.inspectProfile(paths, environment)
  const prepared = await module.prepareProfile(
    paths,
    settingsOf(input, before.exists && before.options.relayServe ? before.options : undefined),
    environment
  )
  const { spawn } = await import('node:child_process')
  output.progress('starting the relay')
  const child = spawn(process.execPath, [...daemonArguments(context), '--notify', '--foreground'], {
    // Its stdin ends with this process: nothing is left behind.
    stdio: ['pipe', 'inherit', 'inherit', 'pipe'],
    env: daemonEnvironment(environment)
  })
  const ended = Promise.withResolvers<number | null>()
  child.once('error', () => ended.resolve(null))
  child.once('exit', (code) => ended.resolve(code))
  const stopChild = (): void => void child.kill('SIGTERM')
  context.signal.addEventListener('abort', stopChild, { once: true })
  const notice = await readNotice(child.stdio[3] as NodeJS.ReadableStream, AbortSignal.any([context.signal, AbortSignal.timeout(startMs)]))
  if (notice !== undefined && !notice.ready) throw fromWireError(notice, paths.profile)
  if (notice?.ready === true && !context.signal.aborted) await report(client, context, prepared)
  if (notice === undefined) stopChild()
  const code = await ended.promise
  if (code === 0) return undefined
  return new MeshError('DAEMON_START_FAILED', { profile: paths.profile, reason: `it ended with exit code ${code}` })
}

/** A new relay gets its ports; one that is there keeps what is not told. */
function settingsOf(input: Input, before: MeshOptions | undefined): Readonly<Record<string, OptionValue>> {
  const settings: Partial<Record<OptionKey, OptionValue>> = { relay_serve: true }
  const told: readonly (readonly [OptionKey, OptionValue | undefined])[] = [
    ['relay_open', input.open],
    ['relay_allow', input.allow],
    ['stun_port', input.stunPort],
    ['name', input.name],
    ['network', input.network]
  ]
  for (const [key, value] of told) if (value !== undefined) settings[key] = value
  // A machine that others rely on has an address of its own: no router to ask, no local network to look around in.
  if (before === undefined) Object.assign(settings, { port_mapping: false, mdns: false })
  const own = before === undefined ? newRelay : portsOf(before.listenAddrs)
  const ports = { port: input.port ?? own.port, wsPort: input.wsPort ?? own.wsPort, host: input.host ?? own.host }
  const isTold = input.port !== undefined || input.wsPort !== undefined || input.host !== undefined
  if (before === undefined || isTold) settings.listen_addrs = checkOption('listen_addrs', listenAddrs(ports), '--host')
  if (input.announce !== undefined) settings.announce_addrs = checkOption('announce_addrs', announceAddrs(input.announce, ports), '--announce')
  return settings
}

interface Ports {
  readonly port: number
  readonly wsPort: number
  readonly host: readonly string[]
}

function portsOf(listenAddrs: readonly string[]): Ports {
  const parts = listenAddrs.flatMap((address) => {
    const [, host, port, ws] = /^\/ip[46]\/([^/]+)\/tcp\/(\d+)(\/ws)?$/.exec(address) ?? []
    return host === undefined ? [] : [{ host, port: Number(port), isWs: ws !== undefined }]
  })
  return {
    port: parts.find(({ isWs }) => !isWs)?.port ?? newRelay.port,
    wsPort: parts.find(({ isWs }) => isWs)?.port ?? 0,
    host: [...new Set(parts.map(({ host }) => host))]
  }
}

const familyOf = (host: string): string => (isIP(host) === 6 ? 'ip6' : 'ip4')

const listenAddrs = ({ port, wsPort, host }: Ports): string[] => [
  ...host.map((each) => `/${familyOf(each)}/${each}/tcp/${port}`),
  ...(wsPort === 0 ? [] : host.map((each) => `/${familyOf(each)}/${each}/tcp/${wsPort}/ws`))
]

/** A host alone is announced with the ports of this relay. */
function announceAddrs(given: readonly string[], { port, wsPort }: Ports): string[] {
  return given.flatMap((text) => {
    if (text.startsWith('/')) return [text]
    const place = isIP(text) === 0 ? `/dns/${text}` : `/${familyOf(text)}/${text}`
    return [`${place}/tcp/${port}`, ...(wsPort === 0 ? [] : [`${place}/tcp/${wsPort}/ws`])]
  })
}

async function report(client: ControlClient, context: CommandContext, { created, options }: Prepared): Promise<void> {
  const { signal, output } = context
  const { profile, peerId, pid, socket, addresses } = await client.call('daemon', {}, { signal })
  const { serving } = await client.call('status', { detailed: false }, { signal })
  const reachable = reachableOf(addresses)
  const answer = {
    profile,
    created,
    peerId,
    pid,
    socket,
    open: options.relayOpen,
    addresses: [...addresses],
    reachable,
    stunPort: serving?.stunPort ?? 0,
    flags: flagsOf(announcedFirst(reachable, options.announceAddrs))
  }
  await output.result(answer, (value) => renderers.relayServe(value, output))
}

interface Prepared {
  readonly created: boolean
  readonly options: MeshOptions
}

/** Public addresses; where there are none those of the local network; on a machine by itself its own. */
function reachableOf(addresses: readonly string[]): string[] {
  const isLoopback = (address: string): boolean => address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/')
  const isLocal = (address: string): boolean =>
    /^\/ip4\/(10|192\.168|172\.(1[6-9]|2\d|3[01])|169\.254|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7]))\./.test(address) ||
    /^\/ip6\/(fe80|f[cd])/.test(address)
  const outside = addresses.filter((address) => !isLoopback(address))
  const everywhere = outside.filter((address) => !isLocal(address))
  if (everywhere.length > 0) return everywhere
  return outside.length > 0 ? outside : [...addresses]
}

/** What the operator named outlives a change of the machine's address. */
const announcedFirst = (reachable: readonly string[], announced: readonly string[]): readonly string[] => {
  const isNamed = (address: string): boolean => announced.some((named) => `${address}/`.startsWith(`${named}/`))
  return [...reachable.filter(isNamed), ...reachable.filter((address) => !isNamed(address))]
}

/** One address of each kind as relay, TCP first; a relay is a bootstrap node, too. */
function flagsOf(reachable: readonly string[]): string {
  const tcp = reachable.find((address) => !address.includes('/ws'))
  const ws = reachable.find((address) => address.includes('/ws'))
  const first = tcp ?? ws
  return [
    ...[tcp, ws].flatMap((address) => (address === undefined ? [] : [`--relay ${address}`])),
    ...(first === undefined ? [] : [`--bootstrap ${first}`])
  ].join(' ')
}
