import type { Catalogue, OutputOf } from '../api/index.ts'
import { type Output, safe } from './output.ts'
import { milliseconds, table } from './text.ts'

type Report = OutputOf<Catalogue['nat']>
type Rates = Report['last100']

/** Both NAT classes, what works now and how well it does in general, and what was tried. */
export function natLines(report: Report, output: Output): readonly string[] {
  return [
    `you: ${classText(report.own.class)} · peer: ${classText(report.their.class)}`,
    `${mark(report, output)} ${headline(report)}${report.last100.count === 0 ? '' : `      ${ratesText(report.last100)}`}`,
    ...table(
      report.attempts.map((attempt) => [
        `  ${attempt.method}`,
        attempt.ms === 0 && !attempt.ok ? '-' : milliseconds(attempt.ms),
        attemptText(attempt)
      ])
    )
  ]
}

/** `reachable 100 % · direct 61 % of the last 100` */
export function ratesText({ count, reachableRate = 0, directRate = 0 }: Rates, of?: string): string {
  const percent = (rate: number): string => `${Math.round(rate * 100)} %`
  return `reachable ${percent(reachableRate)} · direct ${percent(directRate)} of ${of ?? 'the last'} ${count}`
}

const mark = ({ result }: Report, output: Output): string => (result === 'failed' ? output.paint('red', '✗') : output.paint('green', '✓'))

function headline(report: Report): string {
  const { result, method, reason, now, path, retryInS, ms, usableMs } = report
  if (result === 'failed') {
    const failed = method === 'auto' ? 'not reached' : `no connection by ${method}`
    return `${failed}${reason === undefined ? '' : ` (${safe(reason)})`}${now === undefined || method === 'auto' ? '' : `; ${wayText(now, report)} now`}`
  }
  const why = [reason === undefined ? undefined : safe(reason), retryInS === undefined ? undefined : `retry in ${durationText(retryInS)}`]
  const notes = why.filter((note) => note !== undefined).join('; ')
  const time = milliseconds(path === 'relayed' ? (usableMs ?? ms) : ms)
  return notes === '' ? `${wayText(path ?? 'relayed', report)} in ${time}` : `${wayText(path ?? 'relayed', report)} (${notes})`
}

function wayText(path: NonNullable<Report['path']>, { relay }: Report): string {
  if (path === 'relayed') return relay === undefined ? 'relayed' : `relayed via ${safe(relay.name)}`
  return wayTexts[path]
}

const wayTexts = {
  'direct-lan': 'direct, in the local network',
  'direct-ipv6': 'direct, over IPv6',
  'direct-mapped': 'direct, by a port that a router opened',
  'direct-public': 'direct, to a public address',
  punched: 'direct, punched through the NATs',
  turn: 'over a TURN server',
  onion: 'over an onion circuit'
} as const

const attemptText = ({ ok, path, reason }: Report['attempts'][number]): string => (ok ? (path ?? 'connected') : safe(reason ?? 'failed'))

/** A NAT class in words. */
export const classText = (natClass: Report['own']['class']): string => classTexts[natClass]

const classTexts = {
  open: 'no NAT',
  'full-cone': 'full-cone NAT',
  'address-restricted': 'address-restricted NAT',
  'port-restricted': 'port-restricted NAT',
  cone: 'cone NAT',
  symmetric: 'symmetric NAT',
  'udp-blocked': 'UDP blocked',
  unknown: 'NAT not known'
} as const

const durationText = (inS: number): string => (inS < 120 ? `${inS} s` : `${Math.round(inS / 60)} min`)
