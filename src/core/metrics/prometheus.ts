import type { MetricEntry } from './catalogue.ts'
import type { MetricRegistry, Series } from './registry.ts'

/** The Content-Type of the text. */
export const prometheusContentType = 'text/plain; version=0.0.4; charset=utf-8'

/** All metrics of a node, or of the daemon around it, in Prometheus text format 0.0.4; a metric without labels is shown from the start, as 0. */
export function prometheusText(registry: MetricRegistry, part: 'node' | 'daemon' = 'node'): string {
  let text = ''
  for (const { entry, series } of registry.all()) {
    if ((entry.part ?? 'node') !== part) continue
    text += `# HELP ${entry.name} ${escapeHelp(entry.help)}\n# TYPE ${entry.name} ${entry.type}\n`
    for (const each of series.length > 0 ? series : unset(entry))
      text += entry.type === 'histogram' ? histogramLines(entry, each) : `${entry.name}${labelText(each.labels)} ${numberText(each.value)}\n`
  }
  return text
}

function unset(entry: MetricEntry): readonly Series[] {
  return Object.keys(entry.labels).length > 0 ? [] : [{ labels: [], value: 0, buckets: (entry.buckets ?? []).map(() => 0).concat(0), count: 0 }]
}

function histogramLines(entry: MetricEntry, series: Series): string {
  let text = ''
  let below = 0
  for (const [index, bound] of (entry.buckets ?? []).entries()) {
    below += series.buckets[index] ?? 0
    text += `${entry.name}_bucket${labelText([...series.labels, ['le', numberText(bound)]])} ${below}\n`
  }
  text += `${entry.name}_bucket${labelText([...series.labels, ['le', '+Inf']])} ${series.count}\n`
  return `${text}${entry.name}_sum${labelText(series.labels)} ${numberText(series.value)}\n${entry.name}_count${labelText(series.labels)} ${series.count}\n`
}

function labelText(labels: readonly (readonly [string, string])[]): string {
  if (labels.length === 0) return ''
  return `{${labels.map(([name, value]) => `${name}="${escapeValue(value)}"`).join(',')}}`
}

const escapeHelp = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
const escapeValue = (text: string): string => escapeHelp(text).replaceAll('"', '\\"')

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value)
  if (Number.isNaN(value)) return 'NaN'
  return value > 0 ? '+Inf' : '-Inf'
}
