import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'

const script = fileURLToPath(new URL('natlab', import.meta.url))
const tools: readonly (readonly [string, string])[] = [
  ['ip', 'iproute2'],
  ['nft', 'nftables'],
  ['iptables', 'iptables'],
  ['turnserver', 'coturn'],
  ['miniupnpd', 'miniupnpd-nftables'],
  ['openssl', 'openssl'],
  ['python3', 'python3']
]

/** What the machine lacks for the laboratory; undefined when it is all there. */
function lacks(): string | undefined {
  if (process.platform !== 'linux') return 'Linux'
  if (process.getuid?.() !== 0) return 'root'
  const missing = tools.filter(([tool]) => spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0).map(([, name]) => name)
  if (missing.length > 0) return missing.join(', ')
  const probe = `nlprobe${process.pid}`
  if (spawnSync('ip', ['netns', 'add', probe]).status !== 0) return 'the right to make network namespaces'
  spawnSync('ip', ['netns', 'delete', probe])
  return undefined
}

const lack = lacks()

/** Whether the test has to end here, since the machine cannot run it: said loudly, and a failure in CI. */
export function isSkipped(t: Pick<TestContext, 'skip'>): boolean {
  if (lack === undefined) return false
  const text = `skipped: needs ${lack}, run npm run setup:system`
  if (process.env['CI'] === 'true') throw new Error(text)
  t.skip(text)
  return true
}

export interface Output {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Of the host `turn`. */
export const stunServer = 'stun:11.77.2.2:3478'
export const turnServer = { url: 'turn:11.77.2.2:3478', username: 'lab', password: 'labpass' } as const
export const turnRestServer = { url: 'turn:11.77.2.2:3480', secret: 'labsecret' } as const
/** Of the hosts `relay` and `relay2`. */
export const relayHosts = { relay: '11.77.1.2', relay2: '11.77.5.2' } as const
export type RelayHost = keyof typeof relayHosts

/** From one site to another, or to all. */
export type AddressPair = readonly [from: string, to: string]

export interface LabOptions {
  /** `name:number:kind` of routers, and `name:number` or `name:number:network` of public hosts; all by default (see the script). */
  readonly sites?: readonly string[]
  readonly publicHosts?: readonly string[]
  readonly isSameLan?: boolean
}

let count = 0

/** One laboratory, of this process only; see README. */
export class Lab implements AsyncDisposable {
  readonly prefix: string
  readonly #environment: NodeJS.ProcessEnv

  private constructor({ sites, publicHosts, isSameLan = false }: LabOptions) {
    this.prefix = `d${process.pid}x${count++}`
    this.#environment = {
      ...process.env,
      NATLAB_PREFIX: this.prefix,
      NATLAB_OWNER: String(process.pid),
      ...(sites === undefined ? {} : { NATLAB_SITES: sites.join(' ') }),
      ...(publicHosts === undefined ? {} : { NATLAB_PUBLIC: publicHosts.join(' ') }),
      ...(isSameLan ? { NATLAB_SAME_LAN: '1' } : {})
    }
  }

  /** Brings a laboratory up, and takes down those whose process was killed. */
  static async up(options: LabOptions = {}): Promise<Lab> {
    const lab = new Lab(options)
    await lab.natlab('sweep')
    await lab.natlab('up')
    return lab
  }

  /** Where logs and files of the lab's servers are. */
  get folder(): string {
    return `/run/natlab-${this.prefix}`
  }

  /** A command of the script; its standard output. Rejects when it fails. */
  async natlab(...args: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await outputOf(spawn(script, args, { env: this.#environment, stdio: ['ignore', 'pipe', 'pipe'] }))
    if (code !== 0) throw new Error(`natlab ${args.join(' ')}: exit ${code}\n${stdout}${stderr}`)
    return stdout
  }

  /** Runs a program in a host to its end. */
  run(host: string, [program, ...args]: readonly [string, ...string[]], environment: NodeJS.ProcessEnv = {}): Promise<Output> {
    const child = spawn('ip', ['netns', 'exec', `${this.prefix}-${host}`, program, ...args], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    return outputOf(child)
  }

  /** Starts Node in a host; whoever starts it ends it, at the latest the lab does. */
  node(host: string, args: readonly string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
    return spawn('ip', ['netns', 'exec', `${this.prefix}-${host}`, process.execPath, ...args], {
      env: { ...process.env, ...environment },
      stdio: ['pipe', 'pipe', 'pipe']
    })
  }

  /** Delay in each direction between any two sites, in milliseconds, and loss in percent; 0 and 0 = off. */
  async delay(ms: number, lossPercent: number): Promise<void> {
    await this.natlab('delay', String(ms), String(lossPercent))
  }

  /** Another address of the same network for a host behind a router, as after a new lease. */
  async readdress(host: string, { from, to }: { readonly from: string; readonly to: string }): Promise<void> {
    const router = from.replace(/\d+$/, '1')
    const script = `ip addr del ${from}/24 dev eth && ip addr add ${to}/24 dev eth && ip route replace default via ${router}`
    await this.#done(host, ['sh', '-c', script])
  }

  /** Cuts the line of a site to all others, given its number: nothing comes through and nobody is told, as when a machine loses its power. */
  async cut(number: number): Promise<void> {
    const [rules, line] = [`table inet cut${number}`, `"w${number}"`]
    const drop = `iifname ${line} drop; oifname ${line} drop`
    await this.#done('inet', ['nft', `${rules} { chain forward { type filter hook forward priority -20; policy accept; ${drop}; }; }`])
  }

  async mend(number: number): Promise<void> {
    await this.#done('inet', ['nft', 'delete', 'table', 'inet', `cut${number}`])
  }

  /** Counts packets of whatever kind between sites, given the addresses of their routers; begins at 0. */
  async meter(pairs: readonly AddressPair[]): Promise<void> {
    const rules = pairs.map(([from, to]) => `ip saddr ${from} ${to === 'all' ? '' : `ip daddr ${to}`} counter`)
    await this.#done('inet', [
      'nft',
      `table ip counted { chain forward { type filter hook forward priority -30; policy accept; ${rules.join('; ')}; }; }`
    ])
  }

  /** Packets of each pair of `meter`, in order. */
  async metered(): Promise<readonly number[]> {
    const { stdout } = await this.run('inet', ['nft', 'list', 'chain', 'ip', 'counted', 'forward'])
    return [...stdout.matchAll(/counter packets (\d+)/g)].map(([, count]) => Number(count))
  }

  async #done(host: string, command: readonly [string, ...string[]]): Promise<void> {
    const { code, stderr } = await this.run(host, command)
    if (code !== 0) throw new Error(`${host}: ${command.join(' ')}: exit ${code}\n${stderr}`)
  }

  /** The log of coturn: `a` with the fixed password, `b` with the shared secret. */
  turnLog(server: 'a' | 'b'): Promise<string> {
    return readFile(join(this.folder, `turn-${server}.log`), 'utf8')
  }

  async down(): Promise<void> {
    await this.natlab('down')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.down()
  }
}

async function outputOf(child: ChildProcess): Promise<Output> {
  const [stdout, stderr]: [string[], string[]] = [[], []]
  child.stdout?.setEncoding('utf8').on('data', (text: string) => stdout.push(text))
  child.stderr?.setEncoding('utf8').on('data', (text: string) => stderr.push(text))
  const [code] = await once(child, 'close')
  return { code: typeof code === 'number' ? code : null, stdout: stdout.join(''), stderr: stderr.join('') }
}
