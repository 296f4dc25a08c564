import {
  type CounterKey,
  type GaugeKey,
  type HistogramKey,
  type LabelsOf,
  type LabelValues,
  metricCatalogue,
  type MetricEntry,
  type MetricKey
} from './catalogue.ts'

/** One line's worth of a counter or gauge, or a whole histogram. */
export interface Series {
  readonly labels: readonly (readonly [string, string])[]
  value: number
  /** Histograms only: observations in each bucket (not cumulated), the last one beyond all bounds. */
  readonly buckets: number[]
  count: number
}

const other = 'other'

/** Holds the values of all metrics of one node. Every table in it is bounded by the catalogue. */
export class MetricRegistry {
  readonly #series = new Map<MetricKey, Map<string, Series>>()
  readonly #seen = new Map<string, Set<string>>()

  /** Adds `amount` (at least 0) to a counter. */
  count<Key extends CounterKey>(key: Key, labels: LabelsOf<Key>, amount = 1): void {
    if (amount > 0) this.#of(key, labels).value += amount
  }

  /** Sets a counter that something else counts, such as the bytes of a connection; it never goes back. */
  countTo<Key extends CounterKey>(key: Key, labels: LabelsOf<Key>, total: number): void {
    const series = this.#of(key, labels)
    series.value = Math.max(series.value, total)
  }

  /** Sets a gauge. */
  set<Key extends GaugeKey>(key: Key, labels: LabelsOf<Key>, value: number): void {
    this.#of(key, labels).value = value
  }

  /** Notes one observation, in the metric's unit. */
  observe<Key extends HistogramKey>(key: Key, labels: LabelsOf<Key>, value: number): void {
    const bounds: readonly number[] = metricCatalogue[key].buckets
    const series = this.#of(key, labels)
    const found = bounds.findIndex((bound) => value <= bound)
    const index = found < 0 ? bounds.length : found
    series.buckets[index] = (series.buckets[index] ?? 0) + 1
    series.value += value
    series.count++
  }

  /** The value of a counter or gauge, or a histogram's sum; 0 when nothing was noted. */
  value<Key extends MetricKey>(key: Key, labels: LabelsOf<Key>): number {
    return this.#of(key, labels).value
  }

  /** Every metric with its series, in the order of the catalogue. */
  *all(): Generator<{ readonly entry: MetricEntry; readonly series: readonly Series[] }> {
    for (const [key, entry] of Object.entries(metricCatalogue)) {
      const series = this.#series.get(key as MetricKey)
      yield { entry, series: series === undefined ? [] : [...series.values()] }
    }
  }

  #of(key: MetricKey, labels: Readonly<Record<string, string>>): Series {
    const entry: MetricEntry = metricCatalogue[key]
    const pairs: (readonly [string, string])[] = []
    let id = ''
    for (const [label, allowed] of Object.entries(entry.labels)) {
      const value = this.#bounded(`${key} ${label}`, allowed, labels[label] ?? other)
      pairs.push([label, value])
      id += `${value}\n`
    }
    const table = this.#series.get(key) ?? new Map<string, Series>()
    this.#series.set(key, table)
    const known = table.get(id)
    if (known !== undefined) return known
    const series: Series = { labels: pairs, value: 0, buckets: (entry.buckets ?? []).map(() => 0).concat(0), count: 0 }
    table.set(id, series)
    return series
  }

  #bounded(place: string, allowed: LabelValues, value: string): string {
    if (!('atMost' in allowed)) return allowed.includes(value) ? value : other
    const seen = this.#seen.get(place) ?? new Set<string>()
    this.#seen.set(place, seen)
    if (seen.has(value)) return value
    if (seen.size >= allowed.atMost || value.length > 64) return other
    seen.add(value)
    return value
  }
}
