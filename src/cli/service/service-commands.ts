import { randomBytes } from 'node:crypto'
import { execFile } from 'node:child_process'
import { closeSync, constants, fsyncSync, lstatSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import type { Catalogue, InputOf } from '../../api/index.ts'
import { MeshError } from '../../core/base/index.ts'
import type { CommandContext } from '../context.ts'
import { daemonArguments, daemonEnvironment, requireProfile } from '../daemon-process.ts'
import { renderers } from '../render.ts'
import { servicePrintLines } from '../service-lines.ts'
import { marker, serviceName, serviceText, type ServiceKind } from './service-file.ts'

/** How long the manager of services may take to answer. */
const askMs = 3_000

interface Place {
  readonly kind: ServiceKind
  readonly name: string
  readonly file: string
  readonly text: string
}

/** Writes the file of the service, in one step. @throws {MeshError} SERVICE_UNSUPPORTED, SERVICE_FOREIGN, NOT_INITIALIZED, PATH_UNSAFE */
export async function serviceInstall(input: InputOf<Catalogue['serviceInstall']>, context: CommandContext): Promise<void> {
  const { output } = context
  const place = placeOf(input.kind, context)
  if (input.print) return output.result({ ...place, changed: false, next: [] }, servicePrintLines)
  requireProfile(context)
  const found = stateOf(place)
  if (found === 'foreign') throw new MeshError('SERVICE_FOREIGN', { file: place.file })
  const changed = found !== 'current'
  if (changed) writeInOneStep(place)
  await output.result({ ...place, changed, next: [...installSteps(place)] }, (value) => renderers.serviceInstall(value, output))
}

/** Removes the file, when it is ours. */
export async function serviceUninstall(input: InputOf<Catalogue['serviceUninstall']>, context: CommandContext): Promise<void> {
  const { output } = context
  const { text, ...place } = placeOf(input.kind, context)
  const found = stateOf({ ...place, text })
  if (found === 'foreign') throw new MeshError('SERVICE_FOREIGN', { file: place.file })
  const removed = found !== 'no'
  if (removed) rmSync(place.file)
  const next = removed ? [...uninstallSteps(place)] : []
  await output.result({ ...place, removed, next }, (value) => renderers.serviceUninstall(value, output))
}

export async function serviceStatus(input: InputOf<Catalogue['serviceStatus']>, context: CommandContext): Promise<void> {
  const { output } = context
  const { text, ...place } = placeOf(input.kind, context)
  const installed = stateOf({ ...place, text })
  const [enabled, active] = await Promise.all([ask(place, 'is-enabled'), ask(place, 'is-active')])
  const next = installed === 'current' ? [...installSteps(place)] : installed === 'foreign' ? [] : [output.proposal('service install')]
  await output.result({ ...place, installed, enabled, active, next }, (value) => renderers.serviceStatus(value, output))
}

export async function servicePrint(input: InputOf<Catalogue['servicePrint']>, context: CommandContext): Promise<void> {
  const { output } = context
  await output.result(placeOf(input.kind, context), (value) => renderers.servicePrint(value, output))
}

/** The manager of services of a platform. @throws {MeshError} SERVICE_UNSUPPORTED */
export function usualKind(platform: string): ServiceKind {
  if (platform !== 'linux' && platform !== 'darwin') throw new MeshError('SERVICE_UNSUPPORTED', { platform })
  return platform === 'darwin' ? 'launchd' : 'systemd'
}

function placeOf(wanted: ServiceKind | undefined, context: CommandContext): Place {
  const { paths, environment } = context
  const kind = wanted ?? usualKind(process.platform)
  const name = serviceName(kind, paths.profile)
  const home = environment['HOME'] ?? homedir()
  const config = environment['XDG_CONFIG_HOME']
  const folder =
    kind === 'launchd'
      ? join(home, 'Library', 'LaunchAgents')
      : join(config !== undefined && isAbsolute(config) ? config : join(home, '.config'), 'systemd', 'user')
  const file = join(folder, kind === 'launchd' ? `${name}.plist` : name)
  return { kind, name, file, text: serviceText(kind, programOf(context)) }
}

/** The daemon itself, as the command line would start it: nothing waits beside it. Options in the environment stay behind; the configuration file has them. */
function programOf(context: CommandContext) {
  const { paths } = context
  // The manager of services has an environment of its own.
  const folders = Object.fromEntries(['XDG_CONFIG_HOME', 'XDG_STATE_HOME'].map((name) => [name, context.environment[name]]))
  const environment = Object.fromEntries(
    Object.entries(daemonEnvironment(folders)).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]]))
  )
  return {
    profile: paths.profile,
    command: [process.execPath, ...daemonArguments(context)],
    environment,
    crashLog: `${paths.stateFolder}/daemon.crash.log`
  }
}

/** What stands at the place of the file. */
function stateOf({ file, text }: Pick<Place, 'file' | 'text'>): 'no' | 'current' | 'outdated' | 'foreign' {
  const found = lstatSync(file, { throwIfNoEntry: false })
  if (found === undefined) return 'no'
  if (!found.isFile() || found.size > 65_536) return 'foreign'
  const old = readFileSync(file, 'utf8')
  if (old === text) return 'current'
  return old.includes(marker) ? 'outdated' : 'foreign'
}

function writeInOneStep({ file, text }: Place): void {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
  const draft = join(dirname(file), `.${randomBytes(8).toString('hex')}.new`)
  try {
    mkdirSync(dirname(file), { recursive: true })
    const descriptor = openSync(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    try {
      writeSync(descriptor, text)
      fsyncSync(descriptor)
    } finally {
      closeSync(descriptor)
    }
    renameSync(draft, file)
  } catch (cause) {
    rmSync(draft, { force: true })
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'it cannot be written'
    throw new MeshError('PATH_UNSAFE', { file, reason }, { cause })
  }
}

const installSteps = ({ kind, name, file }: Omit<Place, 'text'>): readonly string[] =>
  kind === 'systemd'
    ? [
        'systemctl --user daemon-reload',
        `systemctl --user enable --now ${name}`,
        'loginctl enable-linger    # so that it runs while you are logged out'
      ]
    : [`launchctl bootstrap gui/$(id -u) '${file}'`]

const uninstallSteps = ({ kind, name }: Omit<Place, 'text'>): readonly string[] =>
  kind === 'systemd' ? [`systemctl --user disable --now ${name}`, 'systemctl --user daemon-reload'] : [`launchctl bootout gui/$(id -u)/${name}`]

/** A word of systemctl, such as active or disabled; unknown where it cannot be asked. */
async function ask({ kind, name }: Omit<Place, 'text'>, question: 'is-enabled' | 'is-active'): Promise<string> {
  if (kind !== 'systemd') return 'unknown'
  const { promise, resolve } = Promise.withResolvers<string>()
  execFile('systemctl', ['--user', question, name], { timeout: askMs }, (_error, stdout) => resolve(stdout))
  return /^[a-z-]{1,40}$/.exec((await promise).trim())?.[0] ?? 'unknown'
}
