import type { Catalogue, OutputOf } from '../api/index.ts'
import { type Output, safe } from './output.ts'
import { count, milliseconds, seconds, table } from './text.ts'

type Report = OutputOf<Catalogue['circuitOpen']>
type Circuits = OutputOf<Catalogue['circuitList']>['circuits']
type Circuit = Circuits[number]

/** What was built, how long it took, and what it hides. */
export function circuitLines(report: Report, output: Output): readonly string[] {
  const { anonymity, hops, wanted, isWarm, attempts } = report
  const short = hops < wanted ? `, ${wanted} were asked for` : ''
  const tries = attempts > 1 ? `, attempt ${attempts}` : ''
  return [
    `${output.paint('green', '✓')} circuit ${report.circuit} to ${safe(report.peer.name)} over ${count(hops, 'relay')}${short}, hybrid X25519 + ML-KEM level ${report.level}`,
    `  built in ${milliseconds(report.buildMs)}${isWarm ? ' from a spare one' : ''}${tries} (${report.stepMs.map(milliseconds).join(' + ')}), round trip ${milliseconds(report.rttMs)}`,
    ...pathLines(report),
    ...anonymity.lines.map(
      (line) => `  ${line.startsWith('waived') || line.startsWith('does NOT') ? output.paint('yellow', '!') : '·'} ${safe(line)}`
    )
  ]
}

export function circuitListLines({ circuits }: OutputOf<Catalogue['circuitList']>): readonly string[] {
  if (circuits.length === 0) return ['no circuits']
  const now = Date.now()
  const rows = circuits.map((each) => [
    each.circuit,
    each.peer === undefined ? 'spare' : safe(each.peer.name),
    each.state,
    count(each.hops, 'relay'),
    `level ${each.level}`,
    count(each.streams, 'stream'),
    `${each.cells.sent} cells sent, ${each.cells.received} received`,
    each.expiresAt > now ? `new work for ${seconds(each.expiresAt - now)}` : 'no new work'
  ])
  return circuits.flatMap((each, index) => [table(rows)[index] ?? '', ...pathLines(each)])
}

/** `on, relay; 6 relays and 1 endpoint known, policy lan; 2 circuits, 2 spare` */
export function onionText({ onion }: OutputOf<Catalogue['status']>): string {
  const { routing, role, policy, known, circuits, serving } = onion
  const parts = [
    `${routing ? 'on' : 'off'}${role === 'none' ? '' : `, ${role}`}`,
    `${count(known.relays, 'relay')} known, ${count(known.endpoints, 'endpoint')}${policy === 'lan' ? ', rules waived (lan)' : ''}`,
    `${count(circuits.open, 'circuit')}, ${circuits.spare} spare`,
    ...(serving === undefined ? [] : [`carrying ${count(serving.circuits, 'circuit')} of others, ${count(serving.cells, 'cell')}`])
  ]
  return parts.join('; ')
}

const pathLines = ({ path, peer }: Pick<Circuit, 'path' | 'peer'>): readonly string[] =>
  path === undefined ? [] : [`  path: you → ${[...path, ...(peer === undefined ? [] : [peer])].map(({ name }) => safe(name)).join(' → ')}`]
