import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { catalogue, type CommandName } from '../../src/api/index.ts'
import { displayWidth } from '../../src/cli/display-width.ts'
import { Output } from '../../src/cli/output.ts'
import { renderers } from '../../src/cli/render.ts'

/** A terminal that keeps what is written to it. */
export class Terminal extends Writable {
  readonly isTTY = true
  readonly rows = 40
  readonly columns: number
  text = ''

  constructor(columns: number) {
    super()
    this.columns = columns
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString('utf8')
    this.emit('shown')
    done()
  }

  /** As the process's own streams are typed. */
  get stream(): NodeJS.WriteStream {
    return this as Writable as NodeJS.WriteStream
  }
}

export interface Answer {
  readonly line: string
  readonly name: CommandName
  readonly value: unknown
}

/** Their output is data for other programs: it stands as it is, however wide the terminal. */
const verbatim: ReadonlySet<CommandName> = new Set(['metrics', 'completion', 'context', 'servicePrint'])

/** What commands answer that run nodes of their own. */
const elsewhere: readonly Answer[] = [
  {
    line: 'relay serve',
    name: 'relayServe',
    value: {
      profile: 'default',
      created: true,
      peerId: '12D3KooWx',
      pid: 4242,
      socket: '/run/s',
      open: false,
      addresses: ['/ip4/192.0.2.7/tcp/9000/p2p/12D3KooWx'],
      reachable: [],
      stunPort: 3478,
      flags: '--bootstrap /ip4/192.0.2.7/tcp/9000/p2p/12D3KooWx --stun 192.0.2.7:3478'
    }
  },
  {
    line: 'demo',
    name: 'demo',
    value: {
      nodes: 3,
      seconds: 12.5,
      discovered: 3,
      messages: [{ type: 'AgentCoordination', from: 'agent-001', to: 'agent-002', status: 'stored', ms: 12 }],
      request: { command: 'count to three', response: 'one, two, three', ms: 30 },
      group: { name: 'swarm-alpha', members: 8, status: 'stored', stored: 7, ms: 31 },
      crash: { node: 'agent-003', sentWhileDown: 5, deliveredAfterRestart: 5, keptAcrossCrash: 3 },
      circuits: [{ from: 'agent-001', to: 'agent-002', relays: 1, buildMs: 40, rttMs: 2, status: 'stored', path: 'onion', ms: 20 }],
      ok: true
    }
  }
]

async function shown({ name, value }: Answer, columns: number, environment: NodeJS.ProcessEnv): Promise<string> {
  const terminal = new Terminal(columns)
  const output = new Output({ stdout: terminal.stream, stderr: terminal.stream }, { json: false, quiet: false, environment })
  // The value was checked by the schema of this very command.
  await output.result(value, (each) => renderers[name](each as never, output))
  return terminal.text
}

/** Whether a line is too long only for a word that cannot be cut, such as an id or an address. */
const isExcused = (line: string, columns: number): boolean => {
  const words = line.trim().split(/\s+/)
  const indent = line.length - line.trimStart().length
  return (
    words.some((word) => displayWidth(word) + indent + 2 > columns) || (words.length <= 2 && words.some((word) => displayWidth(word) * 2 > columns))
  )
}

/** Every answer on terminals of 40 and 80 columns, in colours and without; that of 40 columns is kept in `golden`. */
export async function checkTerminals(answers: readonly Answer[], golden: URL): Promise<void> {
  const kept: string[] = []
  const all = [...answers, ...elsewhere].filter(({ name }) => !verbatim.has(name) && name in catalogue)
  for (const answer of all) {
    for (const columns of [40, 80]) {
      const [coloured, plain] = [await shown(answer, columns, {}), await shown(answer, columns, { NO_COLOR: '1' })]
      assert.doesNotMatch(plain, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/u, answer.line)
      assert.equal(stripVTControlCharacters(coloured), plain, answer.line)
      for (const line of plain.split('\n'))
        assert.ok(displayWidth(line) <= columns || isExcused(line, columns), `${answer.line} at ${columns} columns: ${line}`)
      if (columns === 40) kept.push(`$ synaptic-mesh p2p ${answer.line}\n${coloured.replaceAll('\u001b', '␛')}`)
    }
  }
  const text = kept.join('\n')
  if (process.env['UPDATE'] === '1') writeFileSync(golden, text)
  assert.equal(text, readFileSync(golden, 'utf8'))
}

const noon = Date.UTC(2026, 10, 23, 12)
const steadyNumbers: Readonly<Record<string, number>> = { pid: 4242, rssBytes: 69_000_000, at: noon, time: noon, port: 9400 }
const runningNumbers: ReadonlySet<string> = new Set(['ms', 'seconds', 'minMs', 'medianMs', 'p95Ms', 'maxMs', 'count', 'cores'])
/** What they say of this machine is of no width that is known. */
const localCommands: ReadonlySet<CommandName> = new Set(['doctor', 'bugreport', 'keysBackup', 'keysRestore'])
const runningCommands: ReadonlySet<CommandName> = new Set(['trace', 'bench', 'wait'])

/** An answer without what differs from run to run and from machine to machine. */
export function steady(name: CommandName, json: string, places: readonly (readonly [string, string])[]): unknown {
  const text = places
    .reduce((whole, [place, shownAs]) => whole.replaceAll(place, shownAs), json)
    .replaceAll(/smt_[\w-]{43}/g, 'smt_'.padEnd(47, 'x'))
    .replaceAll(/(http:\/\/127\.0\.0\.1):\d+/g, '$1:9400')
  return JSON.parse(text, (key, value: unknown) => {
    if (typeof value === 'number' && runningCommands.has(name) && runningNumbers.has(key)) return 12
    if (typeof value === 'number' && name.startsWith('token') && /(created|used)At/.test(key)) return noon
    if (typeof value === 'number' && localCommands.has(name)) return 12
    if (typeof value === 'string' && localCommands.has(name)) return value.replaceAll(/\d[\d.,]*/g, '9')
    // Shown as what is left of it.
    if (typeof value === 'number' && name === 'circuitList' && key === 'expiresAt' && value > Date.now() - 120_000) return Date.now() + 575_000
    if (typeof value === 'number') return steadyNumbers[key] ?? value
    if (name === 'bench' && (key === 'cpu' || key === 'node')) return `its ${key}`
    if (name === 'serviceStatus' && (key === 'enabled' || key === 'active')) return 'unknown'
    return value
  })
}
