import { errorSentence, exitMeanings } from '../../src/api/error-texts.ts'
import { errorCodes, errorTable } from '../../src/core/base/index.ts'
import { code, page, table } from './markdown.ts'
import { metricCatalogue, type MetricEntry } from '../../src/core/metrics/index.ts'
import { type OptionEntry, optionTable } from '../../src/core/options/index.ts'

export function errorsPage(): string {
  const entries = errorCodes.map((name) => {
    const { exit, retryable, message, hint } = errorTable[name]
    const next = 'next' in errorTable[name] ? errorTable[name].next : []
    const commands = next.length > 0 ? [`Next: ${next.map(code).join(' ')}`] : []
    const facts = `Exit code ${exit}. ${retryable ? 'Trying again can help.' : 'Trying again does not help.'}`
    return [`## ${name}`, errorSentence(message), errorSentence(hint), ...commands, facts].join('\n\n')
  })
  const exits = table(
    ['Exit code', 'Meaning'],
    exitMeanings.map(([exit, meaning]) => [String(exit), meaning])
  )
  return page('Errors', ['Every error that this software reports. ‹words› stand for details of the case.', exits, ...entries])
}

const itemNames: Readonly<Record<string, string>> = { stun: 'servers', turn: 'servers', 'peer-id': 'peer ids' }

function rangeOf(entry: OptionEntry): string {
  switch (entry.type) {
    case 'boolean':
      return 'true or false'
    case 'integer':
      if (entry.values !== undefined) return `one of ${entry.values.join(', ')}`
      return `${entry.min.toLocaleString('en-US')} to ${entry.max.toLocaleString('en-US')}${entry.unit === undefined ? '' : ` ${entry.unit}`}`
    case 'text':
      return entry.allowed
    case 'choice':
      return entry.choices.join(', ')
    case 'list':
      return `up to ${entry.maxItems} ${itemNames[entry.of] ?? 'multiaddrs'}`
  }
}

const asCode = (value: unknown): string => (value === '' ? 'empty' : code(String(value)))
const defaultOf = (entry: OptionEntry): string =>
  Array.isArray(entry.default) ? entry.default.map(asCode).join(' ') || 'none' : asCode(entry.default)
const camelCase = (name: string): string => name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

export function optionsPage(): string {
  const rows = Object.entries<OptionEntry>(optionTable).map(([key, entry]) => {
    const names = [
      code(camelCase(key)),
      ...(entry.flag === undefined ? [] : [code(entry.flag)]),
      ...['SYNAPTIC_MESH_' + key.toUpperCase(), ...(entry.env ?? [])].map(code)
    ]
    const help = entry.built === false ? `${entry.help}. Not in this version: anything but the default is refused with NOT_AVAILABLE` : entry.help
    return [code(key), names.join(' '), defaultOf(entry), rangeOf(entry), help]
  })
  const intro =
    'A flag beats the environment, the environment beats the file, the file beats the default. The first column is the key of the TOML file; the library takes it or its camelCase form. ' +
    'A key that is not here, or a value outside its range, is an error that names the path and the allowed values.'
  return page('Options', [intro, table(['Key', 'Also', 'Default', 'Allowed', 'Meaning'], rows)])
}

export function metricsPage(): string {
  const entries: readonly MetricEntry[] = Object.values(metricCatalogue)
  const rows = entries.map((entry) => {
    const labels = Object.entries(entry.labels).map(([label, values]) =>
      'atMost' in values
        ? `${code(label)} (at most ${values.atMost} values)`
        : `${code(label)}: ${values.slice(0, 8).join(', ')}${values.length > 8 ? ' …' : ''}`
    )
    return [code(entry.name), entry.type, entry.unit, labels.join('; '), entry.help]
  })
  const intro = `What ${code('synaptic-mesh p2p metrics')} and ${code('GET /metrics')} of the [gateway](gateway.md) print, in the text format of Prometheus. No label ever names a peer, and each label has at most as many values as are told here: whatever else comes is counted as ${code('other')}. Counters begin anew with the daemon.`
  return page('Metrics', [intro, table(['Metric', 'Type', 'Unit', 'Labels', 'Meaning'], rows)])
}
