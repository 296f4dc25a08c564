import type { Catalogue, CommandName, InputOf, OutputOf } from '../api/index.ts'
import { circuitLines, circuitListLines, initOnionLines, onionText } from './circuit-lines.ts'
import { safeText } from '../core/base/index.ts'
import { cutToWidth } from './display-width.ts'
import { changeLines, contactListLines, pendingLines, standingText } from './contact-lines.ts'
import { gatewayLines, tokenLines } from './gateway-lines.ts'
import { groupChangeLines, groupLines, groupListLines, groupReportCells, groupReportLines } from './group-lines.ts'
import { handledLines } from './listen/listen-lines.ts'
import { benchLines, completionLines, contextLines, helpLines, topLines, traceLines } from './comfort-lines.ts'
import { natLines, ratesText } from './nat-lines.ts'
import { netcheckLines } from './netcheck-lines.ts'
import { verbatim } from './layout.ts'
import { type Output, safe, safeBody } from './output.ts'
import { inviteListLines, pairedLines } from './pairing-lines.ts'
import { relayRows, relayServeLines } from './relay-lines.ts'
import { bugreportLines, doctorLines, keysBackupLines, keysPasswdLines, keysRestoreLines, keysShowLines } from './tool-lines.ts'
import { serviceInstallLines, servicePrintLines, serviceStatusLines, serviceUninstallLines } from './service-lines.ts'
import { bytes, count, milliseconds, seconds, table, timeOf } from './text.ts'

/** `input`: what was asked for, where the answer is read by it. */
type Renderer<Name extends CommandName> = (value: OutputOf<Catalogue[Name]>, output: Output, input?: InputOf<Catalogue[Name]>) => readonly string[]

type Message = OutputOf<Catalogue['inboxRead']>['messages'][number]
type Report = OutputOf<Catalogue['outboxCancel']>
type Peer = OutputOf<Catalogue['peers']>['peers'][number]

const tick = (output: Output): string => output.paint('green', '✓')

/** What people are shown of each answer. */
export const renderers: { readonly [Name in CommandName]: Renderer<Name> } = {
  init: (value, output) => [
    `${tick(output)} ${value.created ? 'new identity' : 'identity kept'} ${value.peerId}`,
    `  profile ${value.profile} · ${value.name === '' ? 'no name' : `name ${safe(value.name)}`} · network ${value.network} · at most ${value.maxPeers} peers`,
    ...value.changed.map(({ option, value: now }) => `  changed ${option} = ${safe(JSON.stringify(now))}`),
    ...(value.created || value.changed.length > 0 ? [] : ['  nothing changed']),
    `  quantum-resistant channels ${value.features.quantum.policy === 'require' ? 'required' : 'preferred'}, sessions at level ${value.features.quantum.level}`,
    ...initOnionLines(value),
    `  configuration ${safe(value.config)}`,
    ...value.addresses.map((address) => `  listening on ${safe(address)}`),
    ...(value.daemon === undefined ? ['  not started'] : [`  daemon running, pid ${value.daemon.pid}`])
  ],
  start: (value, output) => [
    `${tick(output)} daemon of profile ${value.profile} ${value.started ? 'started' : 'runs already'}, pid ${value.pid}`,
    ...value.addresses.map((address) => `  listening on ${safe(address)}`)
  ],
  restart: (value, output) => [
    `${tick(output)} daemon of profile ${value.profile} restarted, pid ${value.pid}`,
    ...value.addresses.map((address) => `  listening on ${safe(address)}`)
  ],
  stop: (value, output) => [
    value.stopped ? `${tick(output)} daemon of profile ${value.profile} stopped` : `no daemon of profile ${value.profile} runs`
  ],
  relayServe: (value, output) => relayServeLines(value, output),
  logs: (value) => [logLine(value)],
  wait: (value, output) => [`${tick(output)} ${count(value.connected, 'peer')} connected after ${seconds(value.ms)}`],
  discover: (value, output) => [
    `${tick(output)} ${value.found} of ${value.wanted} found by ${value.method} in ${seconds(value.elapsedMs)}`,
    ...table(
      value.peers.map((peer) => [safe(peer.name), peer.peerId, peer.connected ? 'connected' : '', claimOf(peer), safe(peer.addresses[0] ?? '')])
    )
  ],
  message: (value, output) => [...reportLines(value, output), ...(value.response === undefined ? [] : ['', ...messageLines(value.response, output)])],
  inboxList: (value, output, input) => [
    ...(value.messages.length === 0 ? [isFiltered(input) ? 'no message matches' : 'no unread messages'] : table(value.messages.map(messageRow))),
    ...(value.held > 0 ? [output.paint('yellow', heldLine(value.held, output, input?.state?.includes('held') === true))] : [])
  ],
  inboxRead: (value, output) =>
    value.messages.length === 0
      ? ['no unread messages']
      : value.messages.flatMap((message, index) => (index === 0 ? messageLines(message, output) : ['', ...messageLines(message, output)])),
  inboxAck: (value, output) => [
    `${tick(output)} ${count(value.acknowledged, 'message')} acknowledged`,
    ...value.unknown.map((id) => `  unknown: ${safe(id)}`)
  ],
  inboxReply: (value, output) => reportLines(value, output),
  outboxList: (value, _output, input) =>
    value.messages.length === 0
      ? [isFiltered(input) ? 'no message matches' : 'nothing was sent']
      : [...table(value.messages.map(reportRow)), `${count(value.queued, 'message')} queued, ${bytes(value.bytes)}`],
  outboxRetry: (value, output) => [`${tick(output)} ${count(value.retried, 'message')} tried again`],
  outboxCancel: (value, output) => [`${tick(output)} cancelled   id ${safe(value.id)}`],
  listen: (value, output) => ('handled' in value ? handledLines(value, output) : messageLines(value, output)),
  agentAdd: (value, output) => [
    `${tick(output)} agent ${safe(value.label)} ${value.added ? 'added: peers that have our card can address it' : 'was there already'}`
  ],
  agentList: (value) =>
    value.agents.length === 0 ? ['no agents are named'] : table(value.agents.map((each) => [safe(each.label), timeOf(each.createdAt)])),
  agentRemove: (value, output) => [`${tick(output)} agent ${safe(value.label)} removed`],
  inboxConsumers: (value) =>
    value.consumers.length === 0
      ? ['the inbox has no named readers']
      : table(
          value.consumers.map((each) => [
            safe(each.name),
            `last here ${timeOf(each.usedAt)}`,
            each.idle ? 'away for 7 days: nothing waits for it' : '',
            each.acknowledged === 0 ? '' : `${count(each.acknowledged, 'message')} acknowledged that others have not`
          ])
        ),
  invite: (value) => [value.invite],
  inviteList: (value) => inviteListLines(value),
  inviteRevoke: (value, output) => [`${tick(output)} invite ${safe(value.id)} taken back`],
  inviteWait: (value, output) => pairedLines(value, output),
  join: (value, output) => pairedLines(value, output),
  peers: (value, output) =>
    value.peers.length === 0
      ? ['no peers are known yet']
      : value.peers.length === 1
        ? value.peers.flatMap((peer) => peerLines(peer, output))
        : table(value.peers.map(peerRow)),
  pending: (value, output) => pendingLines(value, output, (message) => messageLines(message, output)),
  approve: (value, output) => changeLines(value, output),
  peerList: (value) => contactListLines(value),
  peerRename: (value, output) => changeLines(value, output),
  peerTrust: (value, output) => changeLines(value, output),
  peerBlock: (value, output) => changeLines(value, output),
  peerRemove: (value, output) => changeLines(value, output),
  status: (value, output) => statusLines(value, output),
  ping: (value) => [
    ...value.rttMs.map((ms, index) => `${index + 1}  ${milliseconds(ms)}`),
    `${safe(value.peer.name)}: min ${milliseconds(value.minMs)}, median ${milliseconds(value.medianMs)}, max ${milliseconds(value.maxMs)}`
  ],
  quantum: (value, output) => quantumLines(value, output),
  nat: (value, output) => natLines(value, output),
  circuitOpen: (value, output) => circuitLines(value, output),
  circuitList: (value) => circuitListLines(value),
  circuitClose: (value, output) => [`${tick(output)} circuit ${value.circuit} ended`],
  netcheck: (value, output) => netcheckLines(value, output),
  trust: (value, output) => [
    value.forgotten.length === 0
      ? `nothing was remembered of ${safe(value.name)}`
      : `${tick(output)} forgotten of ${safe(value.name)}: ${value.forgotten.map((what) => (what === 'levels' ? 'its hybrid levels' : 'its ML-DSA-65 key')).join(' and ')}; what it shows next is remembered anew`
  ],
  gateway: (value, output) => gatewayLines(value, output),
  gatewayStop: (value, output) => [value.stopped ? `${tick(output)} gateway stopped` : 'no gateway ran'],
  tokenCreate: (value) => [value.token],
  tokenList: (value, output) => tokenLines(value, output),
  tokenRevoke: (value, output) => [`${tick(output)} the token ${safe(value.name)} is void`],
  groupCreate: (value, output) => [...groupChangeLines(value, 'made', output), ...groupLines(value, output).slice(2)],
  groupAdd: (value, output) => [...groupChangeLines(value, 'changed', output), ...groupLines(value, output).slice(2)],
  groupRemove: (value, output) => [...groupChangeLines(value, 'changed', output), ...groupLines(value, output).slice(2)],
  groupList: (value, output) => groupListLines(value, output),
  groupLeave: (value, output) => [`${tick(output)} left ${safe(value.name)}`],
  groupDelete: (value, output) => [`${tick(output)} ${safe(value.name)} ended for all its members`],
  metrics: (value) => verbatim(safeBody(value.text.trimEnd())),
  configGet: (value) => table(value.options.map(({ option, value: now, source }) => [option, safe(JSON.stringify(now)), source])),
  configSet: (value, output) => [
    `${tick(output)} ${value.option} = ${safe(JSON.stringify(value.value))}${value.changed ? '' : ' (as before)'}`,
    ...(value.restartNeeded ? [`  takes effect at the next start: ${output.proposal('restart')}`] : [])
  ],
  configPath: (value) =>
    table([
      ['config', safe(value.config)],
      ['state', safe(value.state)],
      ['log', safe(value.log)],
      ['socket', safe(value.socket)]
    ]),
  keysShow: (value) => keysShowLines(value),
  keysBackup: (value, output) => keysBackupLines(value, output),
  keysRestore: (value, output) => keysRestoreLines(value, output),
  keysPasswd: (value, output) => keysPasswdLines(value, output),
  doctor: (value, output) => doctorLines(value, output),
  bugreport: (value, output) => bugreportLines(value, output),
  configCheck: (value, output) => [`${tick(output)} ${safe(value.file)} is valid, ${count(value.options, 'option')} set`],
  top: (value, output) => topLines(value, output),
  trace: (value, output) => traceLines(value, output),
  bench: (value, output) => benchLines(value, output),
  serviceInstall: (value, output) => serviceInstallLines(value, output),
  serviceUninstall: (value, output) => serviceUninstallLines(value, output),
  serviceStatus: (value) => serviceStatusLines(value),
  servicePrint: (value) => servicePrintLines(value),
  completion: (value) => completionLines(value),
  context: (value) => contextLines(value),
  help: (value, output) => helpLines(value, output),
  demo: (value, output) => [
    '',
    ...table([
      ['type', 'from', 'to', 'status', 'time'],
      ...value.messages.map(({ type, from, to, status, ms }) => [type, from, to, status, milliseconds(ms)])
    ]),
    `Command answered by ${value.request.response} in ${milliseconds(value.request.ms)}`,
    `${value.group.name} of ${count(value.group.members, 'node')}: a message stored at ${value.group.stored} of ${value.group.members - 1} members in ${milliseconds(value.group.ms)}`,
    `${value.crash.node} was killed with -9: ${value.crash.deliveredAfterRestart} of ${value.crash.sentWhileDown} messages delivered after its restart, ${value.crash.keptAcrossCrash} kept across the crash`,
    ...value.circuits.map(
      ({ from, to, relays, buildMs, status, ms }) =>
        `a circuit from ${from} to ${to} over ${count(relays, 'relay')}, built in ${milliseconds(buildMs)}: a message ${status} over it in ${milliseconds(ms)}`
    ),
    `${value.ok ? tick(output) : output.paint('red', '✗')} ${value.nodes} nodes, ${value.discovered} found each other, ${seconds(value.seconds * 1000)} in all`
  ]
}

/** Whether a list was asked for in part only. */
const isFiltered = (input: object = {}): boolean =>
  Object.entries(input).some(([name, value]) => value !== undefined && ['type', 'from', 'to', 'state', 'id'].includes(name)) ||
  ('after' in input && input.after !== 0)

const heldLine = (held: number, output: Output, isShown: boolean): string =>
  `${count(held, 'message')} held from peers that are not paired: ${output.proposal(isShown ? 'approve PEER' : 'pending')}`

const symbols: Readonly<Record<Report['status'], 'done' | 'waits' | 'failed'>> = {
  accepted: 'waits',
  sent: 'waits',
  stored: 'done',
  read: 'done',
  held: 'done',
  failed: 'failed',
  'expired-unknown': 'failed'
}

function reportLines(report: Report, output: Output): readonly string[] {
  if (report.members !== undefined) return groupReportLines(report, output)
  const kind = symbols[report.status]
  const symbol = kind === 'done' ? tick(output) : kind === 'waits' ? output.paint('yellow', '…') : output.paint('red', '✗')
  const to = report.to.map(({ name }) => safe(name)).join(', ')
  const path = report.path === undefined ? '' : ` (${safe(report.path)})`
  const said =
    report.status === 'held'
      ? `held at ${to} in ${milliseconds(report.ms)}: it is not paired with this node, and decides whether to read it`
      : `${report.status} ${report.status === 'accepted' ? 'for' : report.status === 'sent' ? 'to' : 'at'} ${to} in ${milliseconds(report.ms)}${path}`
  return [`${symbol} ${said}   id ${safe(report.id)}`]
}

function messageLines(message: Message, output: Output): readonly string[] {
  const flags = [
    message.read ? 'read' : message.redelivered ? 'redelivered' : '',
    message.paired ? '' : 'not paired',
    message.delivery === 'volatile' ? 'volatile' : '',
    message.expectsReply ? 'expects a reply' : ''
  ].filter((flag) => flag !== '')
  const reply = message.inReplyTo === undefined ? '' : `   answers ${safe(message.inReplyTo)}`
  const head = `${message.type} from ${safe(message.name)}${message.label === '' ? '' : `/${safe(message.label)}`}${groupText(message, ' to @')}   priority ${message.priority}   ${timeOf(message.timestamp)}   id ${safe(message.id)}${reply}`
  const body = isRemoved(message)
    ? '(acknowledged: its content is no longer kept)'
    : message.encoding === 'base64'
      ? `(${safe(message.contentType)}, base64) ${message.body}`
      : message.body
  return [output.paint('bold', head) + (flags.length === 0 ? '' : `   [${flags.join(', ')}]`), safeBody(body)]
}

/** The group of a message; one whose sender is not known as a member is said to claim it. */
const groupText = ({ group }: Message, before: string): string =>
  group === undefined
    ? ''
    : `${group.alone ? before.replace(' to @', ' of @') : before}${safe(group.name === '' ? group.id.slice(0, 8) : group.name)}${group.member ? '' : ' (sender is no member)'}`

const messageRow = (message: Message): readonly string[] => [
  safe(message.id),
  message.type,
  safe(message.name) + groupText(message, ' @'),
  timeOf(message.timestamp),
  String(message.priority),
  firstLine(message)
]
const isRemoved = (message: Message): boolean => message.read && message.body === ''
const firstLine = (message: Message): string => {
  if (message.encoding === 'base64') return `(${safe(message.contentType)})`
  const line = message.body.split('\n')[0] ?? ''
  return cutToWidth(safeText(line, { maxCharacters: 240 }), 60)
}
const reportRow = (report: Report): readonly string[] => [
  safe(report.id),
  report.type,
  ...(report.members === undefined ? [report.to.map(({ name }) => safe(name)).join(', '), report.status] : Object.values(groupReportCells(report))),
  timeOf(report.acceptedAt),
  report.error?.code ?? ''
]
/** How the connection goes, as `message` and `nat` say it. */
const connectedText = ({ path }: Peer): string => (path === undefined ? 'connected' : `connected (${safe(path)})`)
const peerRow = (peer: Peer): readonly string[] => [
  safe(peer.name),
  peer.peerId,
  peer.connected ? connectedText(peer) : '-',
  standingText(peer),
  peer.rttMs === undefined ? '' : milliseconds(peer.rttMs),
  claimOf(peer)
]
/** A stranger's name is its own word. */
const claimOf = ({ claimedName, paired }: Peer): string => (claimedName === undefined || paired ? '' : `claims ${safe(claimedName)}`)

function peerLines(peer: Peer, output: Output): readonly string[] {
  const claim = peer.claimedName !== undefined && !peer.paired ? `  claims the name ${safe(peer.claimedName)}: nobody has checked that` : undefined
  const rows = [
    `${output.paint('bold', safe(peer.name))}   ${peer.peerId}`,
    `  ${standingText(peer)} · ${peer.connected ? connectedText(peer) : 'not connected'}${peer.rttMs === undefined ? '' : ` · round trip ${milliseconds(peer.rttMs)}`}`,
    claim,
    peer.labels.length === 0 ? undefined : `  labels ${peer.labels.map(safe).join(', ')}`,
    peer.words === undefined ? undefined : `  words of the pairing: ${peer.words.map(safe).join(' ')} (the other side shows the same)`,
    ...peer.addresses.map((address) => `  ${safe(address)}`)
  ]
  return rows.filter((row) => row !== undefined)
}

/** What a session proved, and what to do with the words. */
function quantumLines(value: OutputOf<Catalogue['quantum']>, output: Output): readonly string[] {
  const { rekey } = value
  return [
    `${tick(output)} session with ${safe(value.name)} at level ${value.level}, confirmed by the peer   ${value.peerId}`,
    ...table([
      ['  keys', `${value.kem} + ${value.hybrid} (${safe(value.suite)})`],
      ['  authentication', authenticationText(value.authentication)],
      ['  handshake', `${value.bytes.toLocaleString('en-US')} bytes in ${milliseconds(value.handshakeMs)} (${safe(value.path)})`],
      ['  new keys', `after ${rekey.records.toLocaleString('en-US')} records, ${bytes(rekey.bytes)} or ${seconds(rekey.seconds * 1000)}`],
      ['  words', value.words.map(safe).join(' ')]
    ]),
    '  Compare the words by voice: the peer sees the same ones under sessions in its status --detailed, unless somebody stands between.',
    '  This session was for the check and is closed again: messages go through one of their own, with the level and signatures that the configurations ask for.'
  ]
}

const authenticationText = (authentication: string): string =>
  authentication === 'ed25519' ? 'Ed25519 (classical: it does not resist a quantum computer)' : 'Ed25519 and ML-DSA-65'

/** How many handshakes failed, and why. */
const failuresText = (failures: Readonly<Record<string, number>>): string =>
  Object.entries(failures)
    .map(([reason, times]) => `${safe(reason)} ${times}`)
    .join(', ')

function statusLines(value: OutputOf<Catalogue['status']>, output: Output): readonly string[] {
  const { p50, p95, p99 } = value.latencyMs
  const latency =
    p50 === undefined
      ? 'no message stored at a peer yet'
      : `p50 ${milliseconds(p50)} · p95 ${milliseconds(p95 ?? p50)} · p99 ${milliseconds(p99 ?? p50)}`
  return [
    `${output.paint('bold', value.name === '' ? 'this node' : safe(value.name))}   ${value.peerId}`,
    ...table([
      [
        '  profile',
        `${value.profile}, network ${value.network}, up ${seconds(value.uptimeS * 1000)}, pid ${value.daemon.pid}, ${bytes(value.daemon.rssBytes)} of memory`
      ],
      [
        '  peers',
        `${value.peers.connected} connected, ${value.peers.paired} paired, ${value.peers.known} known${value.peers.blocked === 0 ? '' : `, ${value.peers.blocked} blocked`}`
      ],
      ['  quantum', quantumText(value)],
      ['  onion', onionText(value)],
      [
        '  inbox',
        `${value.inbox.unread} unread, ${value.inbox.held} held${value.inbox.strangers === 0 ? '' : ` from ${count(value.inbox.strangers, 'stranger')}: ${output.proposal('pending')}`}`
      ],
      ['  outbox', `${value.outbox.queued} queued`],
      ['  traffic', `${bytes(value.bytes.sent)} sent, ${bytes(value.bytes.received)} received`],
      ['  latency', latency],
      ['  reach', value.nat.count === 0 ? 'no peer counted yet' : `${ratesText(value.nat.last100)}; ${ratesText(value.nat, 'all')}`],
      ...relayRows(value),
      ...value.addresses.map((address, index) => [index === 0 ? '  addresses' : '', safe(address)])
    ]),
    ...(value.health.length === 0
      ? [`  ${output.paint('green', 'healthy')}`]
      : value.health.map(({ code, message, hint }) => `  ${output.paint('yellow', '!')} ${safe(message)} (${safe(code)}): ${safe(hint)}`)),
    ...detailLines(value)
  ]
}

function quantumText({ peers, quantum }: OutputOf<Catalogue['status']>): string {
  const failed = [failuresText(quantum.failures.connections), failuresText(quantum.failures.sessions)].filter((text) => text !== '').join(', ')
  const policy = quantum.policy === 'require' ? 'required' : 'preferred'
  return `${policy}, level ${quantum.level}; ${peers.quantum} of ${peers.connected} connected peers, ${count(quantum.sessions, 'session')}${failed === '' ? '' : `; failed handshakes: ${failed}`}`
}

function detailLines(value: OutputOf<Catalogue['status']>): readonly string[] {
  if (value.connections === undefined) return []
  const connections = value.connections.map((each) => [
    `  ${safe(each.name)}`,
    each.direction,
    safe(each.path),
    safe(each.encryption),
    each.quantumLevel === 0 ? 'classical' : `hybrid, level ${each.quantumLevel}`,
    safe(each.multiplexer),
    count(each.streams, 'stream'),
    safe(each.address)
  ])
  const sessions = (value.sessions ?? []).map((each) => [
    `  ${safe(each.name)}`,
    each.direction,
    `${each.kem} + ${each.hybrid}, level ${each.level}`,
    each.authentication,
    safe((each.words ?? []).join(' ')),
    each.endedAt === undefined ? `open (${safe(each.path)}), keys renewed ${count(each.epoch, 'time')}` : `ended ${timeOf(each.endedAt)}`
  ])
  const versions = Object.entries(value.versions ?? {}).map(([name, version]) => [`  ${safe(name)}`, safe(version)])
  return [
    'connections',
    ...table(connections),
    'sessions',
    ...table(sessions),
    'peers',
    ...table((value.peerList ?? []).map((peer) => [`  ${safe(peer.name)}`, ...peerRow(peer).slice(1)])),
    'versions',
    ...table(versions)
  ]
}

const levels: Readonly<Record<string, string>> = { trace: 'trace', debug: 'debug', info: 'info ', warn: 'warn ', error: 'error' }

function logLine({ time, level, event, ...fields }: OutputOf<Catalogue['logs']>): string {
  const rest = Object.entries(fields).map(([name, value]) => `${safe(name)}=${safe(typeof value === 'string' ? value : JSON.stringify(value))}`)
  return [timeOf(time), levels[level] ?? safe(level), safe(event), ...rest].join(' ')
}
