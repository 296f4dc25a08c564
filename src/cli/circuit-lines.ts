import type { Catalogue, OutputOf } from '../api/index.ts'
import { type Output, safe } from './output.ts'
import { count, milliseconds, seconds, table } from './text.ts'

type Report = OutputOf<Catalogue['circuitOpen']>
type Circuits = OutputOf<Catalogue['circuitList']>['circuits']
type Circuit = Circuits[number]

/** What was built, how long it took, and what it hides. */
export function circuitLines(report: Report, output: Output): readonly string[] {
  const { circuit, hops, wanted, level, peer } = report
  const short = hops < wanted ? ` (${wanted} were asked for)` : ''
  return [
    `${output.paint('green', '✓')} circuit to ${safe(peer.name)} over ${count(hops, 'relay')}${short}, hybrid X25519 + ML-KEM level ${level}   id ${circuit}`,
    `  ${builtText(report)}`,
    ...pathLines(report),
    ...anonymityLines(report, output),
    `  ${useText(report, output)}`
  ]
}

/** `built in 310 ms (relays 40 + 80 + 90 ms, peer-123 100 ms), round trip 20 ms` */
function builtText({ buildMs, stepMs, rttMs, isWarm, attempts, peer }: Report): string {
  const last = milliseconds(stepMs.at(-1) ?? 0)
  const relays = stepMs.slice(0, -1).map((ms) => String(Math.round(ms)))
  const steps = isWarm || relays.length === 0 ? `${safe(peer.name)} ${last}` : `relays ${relays.join(' + ')} ms, ${safe(peer.name)} ${last}`
  return `built in ${milliseconds(buildMs)}${isWarm ? ' from a spare one' : ''}${attempts > 1 ? `, attempt ${attempts}` : ''} (${steps}), round trip ${milliseconds(rttMs)}`
}

/** The report's own lines; what it hides and what not under a heading each. */
function anonymityLines({ anonymity }: Report, output: Output): readonly string[] {
  const { lines, hides, doesNotHide } = anonymity
  const facts = lines.filter((line) => !line.startsWith('hides: ') && !line.startsWith('does NOT hide: '))
  const warning = output.paint('yellow', '!')
  return [
    ...facts.map((line) => `  ${line.startsWith('waived') ? `${warning} ` : ''}${safe(line)}`),
    '  hides',
    ...hides.map((line) => `    · ${safe(line)}`),
    '  does NOT hide',
    ...doesNotHide.map((line) => `    ${warning} ${safe(line)}`)
  ]
}

function useText({ peer, carriesMessages, carriesVia }: Report, output: Output): string {
  const name = safe(peer.name)
  if (carriesMessages) return `Messages to ${name} go over it from now on: ${output.proposal(`message ${name} "hello"`)}`
  if (carriesVia)
    return `onion_routing is off: messages to ${name} go over it with --via onion only: ${output.proposal(`message ${name} "hello" --via onion`)}`
  return `Messages to ${name} do not go over it: the options onion_hops and mlkem_security_level ask for more relays, or another level.`
}

export function circuitListLines({ circuits }: OutputOf<Catalogue['circuitList']>): readonly string[] {
  if (circuits.length === 0) return ['no circuits']
  const now = Date.now()
  const rows = table(
    circuits.map((each) => [
      each.circuit,
      each.peer === undefined ? '(spare)' : `to ${safe(each.peer.name)}`,
      each.state,
      count(each.hops, 'relay'),
      `level ${each.level}`,
      count(each.streams, 'stream'),
      `${count(each.cells.sent, 'cell')} sent, ${each.cells.received} received`,
      each.expiresAt > now ? `${seconds(each.expiresAt - now)} left` : 'takes nothing new'
    ])
  )
  return circuits.flatMap((each, index) => [rows[index] ?? '', ...pathLines(each)])
}

/** What circuits mean for a node that was just made. */
export const initOnionLines = ({ features }: OutputOf<Catalogue['init']>): readonly string[] =>
  features.onion
    ? [
        '  onion circuits on: messages go over circuits and never directly',
        features.onionRelay
          ? '  relays the circuits of others, within limits, and nothing to the open Internet (--no-relay: it does not)'
          : '  relays nothing for others: circuits to this node only'
      ]
    : []

/** `on, relays for others; 7 relays and 1 endpoint known, policy lan; 2 circuits, 2 spare; carries 9 circuits of others, 120 cells so far` */
export function onionText({ onion }: OutputOf<Catalogue['status']>): string {
  const { routing, role, policy, known, circuits, serving } = onion
  const members = `${count(known.relays, 'relay')}${known.endpoints === 0 ? '' : ` and ${count(known.endpoints, 'endpoint')}`} known, policy ${policy}`
  const own = `${count(circuits.open, 'circuit')}, ${circuits.spare} spare`
  if (!routing && known.relays === 0 && circuits.open === 0) return 'off'
  if (!routing) return ['off', members, ...(circuits.open === 0 ? [] : [own])].join('; ')
  const carried =
    serving === undefined || serving.cells === 0
      ? []
      : [`carries ${count(serving.circuits, 'circuit')} of others, ${serving.cells.toLocaleString('en-US')} cells so far`]
  return [`on, ${roleTexts[role]}`, members, own, ...(role === 'relay' ? carried : [])].join('; ')
}

const roleTexts: Readonly<Record<OutputOf<Catalogue['status']>['onion']['role'], string>> = {
  relay: 'relays for others',
  endpoint: 'endpoint only',
  none: 'not listed yet'
}

const pathLines = ({ path, peer }: Pick<Circuit, 'path' | 'peer'>): readonly string[] =>
  path === undefined ? [] : [`  path: you → ${[...path, ...(peer === undefined ? [] : [peer])].map(({ name }) => safe(name)).join(' → ')}`]
