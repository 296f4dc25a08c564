import type { Catalogue, OutputOf } from '../api/index.ts'
import { verbatim } from './layout.ts'
import { type Output, safe } from './output.ts'
import { bytes, count, milliseconds, seconds, table } from './text.ts'

/** The topics and the commands, or the text that was asked for. */
export function helpLines({ text, topics, commands }: OutputOf<Catalogue['help']>, output: Output): readonly string[] {
  if (text !== undefined) return text.split('\n')
  return [
    output.paint('bold', 'Topics (synaptic-mesh p2p help TOPIC)'),
    ...table(topics.map(({ topic, title }) => [`  ${topic}`, title])),
    '',
    output.paint('bold', 'Commands (synaptic-mesh p2p help COMMAND)'),
    ...table(commands.map(({ command, help }) => [`  ${command}`, help]))
  ]
}

type Trace = OutputOf<Catalogue['trace']>

/** A line for each step, and where the way ends. */
export function traceLines({ peer, wanted, steps, ok, onion, ms }: Trace, output: Output): readonly string[] {
  const marks = { ok: output.paint('green', '✓'), failed: output.paint('red', '✗'), skipped: output.paint('dim', '·') } as const
  const name = safe(peer?.name ?? wanted)
  const rows = table(
    steps.map(({ step, state, text, ms: took }) => [`${marks[state]} ${step}`, state === 'skipped' ? '-' : milliseconds(took), safe(text)])
  )
  const end = steps.find(({ state }) => state === 'failed')
  return [
    `${output.paint('bold', `to ${name}`)}${peer === undefined ? '' : `   ${peer.peerId}`}${onion ? '   over onion circuits' : ''}`,
    ...steps.flatMap(({ more }, index) => [rows[index] ?? '', ...more.map((line) => `    ${safe(line)}`)]),
    ok ? `${name} answers; ${milliseconds(ms)} in all` : `the way ends at ${end?.step ?? 'no step'}: ${safe(end?.error?.hint ?? end?.text ?? '')}`
  ]
}

type Bench = OutputOf<Catalogue['bench']>
type Times = NonNullable<Bench['way']>['roundTripMs']

const timesText = ({ count: times, minMs, medianMs, p95Ms, maxMs }: Times): string =>
  `median ${milliseconds(medianMs)}, from ${milliseconds(minMs)} to ${milliseconds(maxMs)}, p95 ${milliseconds(p95Ms)} (${times} times)`
const perSecond = (rate: number): string => `${Math.round(rate).toLocaleString('en-US')} a second`

/** What was measured, and on what. */
export function benchLines({ local, way, seconds: took }: Bench, output: Output): readonly string[] {
  const lines: (readonly string[])[] = []
  if (local !== undefined) {
    lines.push(
      ['  machine', `${safe(local.cpu)}, ${count(local.cores, 'core')}, Node ${safe(local.node)}`],
      ['  signatures', `${perSecond(local.signaturesPerSecond)} (Ed25519), verified ${perSecond(local.verificationsPerSecond)}`],
      ['  handshakes', `${perSecond(local.kemHandshakesPerSecond)} (ML-KEM-768: keys, encapsulation, decapsulation)`],
      ['  commits', `${perSecond(local.commitsPerSecond)}, one after the other: ${timesText(local.commitMs)}`],
      ['  messages', `${perSecond(local.messagesPerSecond)} stored, between two nodes of this process: ${timesText(local.messageMs)}`]
    )
  }
  if (way !== undefined) {
    lines.push(
      ['  round trip', timesText(way.roundTripMs)],
      ['  handshake', `level ${way.level}: ${timesText(way.handshakeMs)}`],
      ['  path', safe(way.path ?? 'not known')]
    )
  }
  const head = way === undefined ? 'this machine' : `the way to ${safe(way.peer.name)}`
  return [`${output.paint('bold', head)}   measured in ${seconds(took * 1000)}`, ...table(lines)]
}

type Picture = OutputOf<Catalogue['top']>

/** One picture of the node. */
export function topLines(value: Picture, output: Output): readonly string[] {
  const { peers, bytes: traffic, perSecond: rate, latencyMs } = value
  const flow = rate === undefined ? '' : `   now ${bytes(Math.round(rate.sent))}/s out, ${bytes(Math.round(rate.received))}/s in`
  const latency = latencyMs.p50 === undefined ? 'no message stored yet' : `stored in ${milliseconds(latencyMs.p50)} (median)`
  return [
    `${output.paint('bold', value.name === '' ? 'this node' : safe(value.name))}   profile ${safe(value.profile)}   up ${seconds(value.uptimeS * 1000)}   ${bytes(value.rssBytes)}`,
    `${peers.connected} connected, ${peers.quantum} quantum-resistant   ${peers.paired} paired   ${count(value.sessions, 'session')}   ${count(value.circuits, 'circuit')}`,
    `inbox ${value.inbox.unread} unread, ${value.inbox.held} held   outbox ${value.outbox.queued} queued   ${latency}`,
    `${bytes(traffic.sent)} sent, ${bytes(traffic.received)} received${flow}`,
    ...value.health.map(({ code, message }) => `${output.paint('yellow', '!')} ${safe(message)} (${safe(code)})`),
    '',
    ...(value.list.length === 0
      ? ['no peer is connected']
      : table([['PEER', 'PATH', 'LEVEL', 'ROUND TRIP', 'STREAMS', ''], ...value.list.map(peerRow)]))
  ]
}

const peerRow = ({ name, path, quantumLevel, rttMs, streams, paired }: Picture['list'][number]): readonly string[] => [
  safe(name),
  safe(path),
  quantumLevel === 0 ? 'classical' : String(quantumLevel),
  rttMs === undefined ? '-' : milliseconds(rttMs),
  String(streams),
  paired ? '' : 'not paired'
]

/** The value as it would be under --json, with line breaks. */
export const contextLines = (value: OutputOf<Catalogue['context']>): readonly string[] => verbatim(JSON.stringify(value, undefined, 2))

export const completionLines = ({ script }: OutputOf<Catalogue['completion']>): readonly string[] => verbatim(script.trimEnd())
