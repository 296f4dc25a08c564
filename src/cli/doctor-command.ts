import { resolve } from 'node:path'
import { type Catalogue, ControlClient, type DoctorCheck, type InputOf, type OutputOf } from '../api/index.ts'
import { MeshError, toMeshError, version } from '../core/base/index.ts'
import type { CommandContext } from './context.ts'
import { renderers } from './render.ts'
import { bytes, count, seconds } from './text.ts'

type Upkeep = OutputOf<{ readonly output: typeof import('../api/index.ts').operations.upkeep.output }>
type Status = OutputOf<Catalogue['status']>

/** What the daemon told; a part that it did not tell is an error. */
interface Told {
  readonly daemon: { readonly version: string; readonly pid: number; readonly addresses: readonly string[] }
  readonly status: Status | MeshError
  readonly netcheck: OutputOf<Catalogue['netcheck']> | MeshError
  readonly upkeep: Upkeep | MeshError
}

/** A full box refuses; one that is this full soon will. */
const nearlyFull = 0.8
const stepToleranceMs = 120_000

/** Looks at everything, with the daemon's help where one runs. None is started for it. */
export async function doctor(input: InputOf<Catalogue['doctor']>, context: CommandContext): Promise<MeshError | undefined> {
  const { output, paths, environment } = context
  output.progress(input.deep ? 'looking, and reading the whole store' : 'looking')
  const told = await ask(input, context)
  const { tools } = await context.loadDaemonModule()
  const isRunning = !(told instanceof MeshError)
  const local = await (await tools()).doctor({ paths, environment, deep: input.deep, fix: input.fix, isRunning })
  const checks = [...local, ...(isRunning ? daemonChecks(told) : absentChecks(told))]
  const failed = checks.filter(({ state }) => state === 'fail')
  const answer = { ok: failed.length === 0, profile: paths.profile, daemon: isRunning, checks }
  await output.result(answer, (value) => renderers.doctor(value, output))
  if (failed.length === 0) return undefined
  const names = [...new Set(failed.map(({ id }) => id))]
  return new MeshError('DOCTOR_FAILED', {
    failed: failed.length,
    checks: checks.length,
    names,
    fixable: failed.some(({ fixable }) => fixable === true)
  })
}

/** Writes the report: what doctor finds, and what the daemon tells. */
export async function bugreport(input: InputOf<Catalogue['bugreport']>, context: CommandContext): Promise<void> {
  const { output, paths, environment } = context
  output.progress('gathering')
  const told = await ask({ deep: false, timeoutMs: 15_000 }, context)
  const { tools } = await context.loadDaemonModule()
  const loaded = await tools()
  const isRunning = !(told instanceof MeshError)
  const local = await loaded.doctor({ paths, environment, deep: false, fix: false, isRunning })
  const checks = [...local, ...(isRunning ? daemonChecks(told) : absentChecks(told))]
  const found = isRunning
    ? { status: shown(told.status), netcheck: shown(told.netcheck), upkeep: shown(told.upkeep), checks }
    : { daemon: shown(told), checks }
  const at = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const target = resolve(input.output ?? `synaptic-mesh-bugreport-${at}.json`)
  const answer = await loaded.bugreport({ paths, environment, target, found })
  output.note('read it before you send it: names, addresses and peer ids are replaced, but you know best what else tells too much')
  await output.result(answer, (value) => renderers.bugreport(value, output))
}

const shown = (told: object): unknown => (told instanceof MeshError ? { error: told.report() } : told)

async function ask(
  { deep, timeoutMs }: { readonly deep: boolean; readonly timeoutMs: number },
  { paths, signal }: CommandContext
): Promise<Told | MeshError> {
  const client = new ControlClient(paths)
  const settled = async <T>(call: Promise<T>): Promise<T | MeshError> => call.catch((error: unknown) => toMeshError(error))
  const daemon = await settled(client.call('daemon', {}, { signal, deadlineMs: 5_000 }))
  if (signal.aborted) throw new MeshError('ABORTED', { operation: 'doctor' })
  if (daemon instanceof MeshError) return daemon
  const deadline = { signal, deadlineMs: timeoutMs }
  const [status, netcheck, upkeep] = await Promise.all([
    settled(client.call('status', { detailed: true }, deadline)),
    settled(client.call('netcheck', { timeoutMs: Math.min(timeoutMs, 10_000) }, deadline)),
    settled(client.call('upkeep', { deep }, { signal, deadlineMs: deep ? 3_600_000 : timeoutMs }))
  ])
  if (signal.aborted) throw new MeshError('ABORTED', { operation: 'doctor' })
  return { daemon, status, netcheck, upkeep }
}

/** A daemon that does not run is started when it is needed; one that does not answer is broken. */
function absentChecks(error: MeshError): readonly DoctorCheck[] {
  const { cause } = error
  const isGone = cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED')
  const daemon: DoctorCheck = isGone
    ? { id: 'daemon', state: 'ok', message: 'No daemon runs; it is started when it is needed' }
    : { id: 'daemon', state: 'fail', message: error.message, hint: error.hint }
  return [daemon, { id: 'network', state: 'skipped', message: 'What the network is like is asked of the daemon: synaptic-mesh p2p start' }]
}

/** What the daemon told, judged. */
export function daemonChecks({ daemon, status, netcheck, upkeep }: Told): readonly DoctorCheck[] {
  const versions: DoctorCheck =
    daemon.version === version
      ? { id: 'daemon', state: 'ok', message: `The daemon runs, pid ${daemon.pid}, version ${version}` }
      : {
          id: 'daemon',
          state: 'warn',
          message: `The daemon has version ${daemon.version}, this command line ${version}`,
          hint: 'Start it again: synaptic-mesh p2p restart'
        }
  return [
    versions,
    ...(status instanceof MeshError ? [unasked('health', status)] : healthChecks(status)),
    ...(netcheck instanceof MeshError ? [unasked('network', netcheck)] : networkChecks(netcheck)),
    ...(upkeep instanceof MeshError ? [unasked('store', upkeep)] : upkeepChecks(upkeep))
  ]
}

const unasked = (id: string, { message }: MeshError): DoctorCheck => ({ id, state: 'skipped', message: `The daemon did not tell: ${message}` })

/** Findings that mean that something is broken; the others pass by themselves. */
const broken: ReadonlySet<string> = new Set(['IDENTITY_TWICE', 'NO_ADDRESS', 'DISK_FULL', 'STORE_FAILED'])

function healthChecks({ health, peers }: Status): readonly DoctorCheck[] {
  if (health.length === 0) return [{ id: 'health', state: 'ok', message: `${count(peers.connected, 'peer')} connected, ${peers.paired} paired` }]
  return health.map(({ code, message, hint }) => ({ id: 'health', state: broken.has(code) ? 'fail' : 'warn', message: `${message} (${code})`, hint }))
}

function networkChecks({ findings, nat }: OutputOf<Catalogue['netcheck']>): readonly DoctorCheck[] {
  if (findings.length === 0) return [{ id: 'network', state: 'ok', message: `Nothing is wrong with the network (NAT: ${nat.class})` }]
  return findings.map(({ code, message, hint }) => ({ id: 'network', state: 'warn', message: `${message} (${code})`, hint }))
}

function upkeepChecks(upkeep: Upkeep): readonly DoctorCheck[] {
  const { inbox, outbox, store } = upkeep
  return [
    ...clockChecks(upkeep),
    boxCheck('inbox', inbox, 'Read and acknowledge: synaptic-mesh p2p inbox read --ack'),
    boxCheck('outbox', outbox, 'See what waits for whom: synaptic-mesh p2p outbox'),
    ...(store === undefined ? [] : [storeCheck(store)])
  ]
}

function clockChecks({ clockStepMs, clocks, comparedClocks }: Upkeep): readonly DoctorCheck[] {
  const hint = 'Set the clock, best by NTP (timedatectl set-ntp true).'
  const apart = (ms: number): string => `${seconds(Math.abs(ms))} ${ms > 0 ? 'ahead of' : 'behind'}`
  const step: readonly DoctorCheck[] =
    Math.abs(clockStepMs) <= stepToleranceMs
      ? []
      : [{ id: 'clock', state: 'warn', message: `The clock was set by ${seconds(Math.abs(clockStepMs))} since the daemon started`, hint }]
  const [first] = clocks
  if (first === undefined)
    return comparedClocks === 0
      ? step
      : [...step, { id: 'clock', state: 'ok', message: `The clock agrees with those of ${count(comparedClocks, 'peer')}` }]
  // One peer may be wrong; most of several are not.
  const isOurs = clocks.length >= 2 && clocks.length * 2 > comparedClocks
  if (isOurs)
    return [
      ...step,
      {
        id: 'clock',
        state: 'fail',
        message: `This clock is ${apart(-first.aheadMs)} those of ${clocks.length} of ${count(comparedClocks, 'peer')}`,
        hint
      }
    ]
  const others = clocks.map(({ name, aheadMs }): DoctorCheck => ({
    id: 'clock',
    state: 'warn',
    message: `The clock of ${name} is at least ${apart(aheadMs)} this one`,
    hint: 'One of the two is wrong.'
  }))
  return [...step, ...others]
}

function boxCheck(id: 'inbox' | 'outbox', box: Upkeep['inbox'], hint: string): DoctorCheck {
  const share = Math.max(box.messages / box.maxMessages, box.bytes / box.maxBytes)
  const message = `The ${id} has ${count(box.messages, 'message')}, ${bytes(box.bytes)}: ${Math.round(share * 100)} % of what it takes`
  if (share < nearlyFull) return { id, state: 'ok', message }
  return { id, state: share >= 1 ? 'fail' : 'warn', message, hint }
}

function storeCheck({ problems, messages, damaged }: NonNullable<Upkeep['store']>): DoctorCheck {
  const [first] = problems
  const hint = 'The disk decays. Make a backup of what is left now: synaptic-mesh p2p keys backup'
  if (first !== undefined) return { id: 'store', state: 'fail', message: `SQLite finds damage: ${first}`, hint }
  if (damaged > 0) return { id: 'store', state: 'fail', message: `${damaged} of ${count(messages, 'message')} are not what was written`, hint }
  return { id: 'store', state: 'ok', message: `The store is whole, ${count(messages, 'message')} have their seals` }
}
