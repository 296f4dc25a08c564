import type { Catalogue, OutputOf } from '../api/index.ts'
import { verbatim } from './layout.ts'
import { type Output, safe } from './output.ts'

const nextLines = (next: readonly string[]): readonly string[] => (next.length === 0 ? [] : ['Next:', ...next.map((line) => `  ${safe(line)}`)])

export function serviceInstallLines(value: OutputOf<Catalogue['serviceInstall']>, output: Output): readonly string[] {
  const what = value.changed ? 'written' : 'is there already, as it should be'
  return [`${output.paint('green', '✓')} ${safe(value.file)} ${what}`, ...nextLines(value.next)]
}

export function serviceUninstallLines(value: OutputOf<Catalogue['serviceUninstall']>, output: Output): readonly string[] {
  if (!value.removed) return [`nothing is installed at ${safe(value.file)}`]
  return [`${output.paint('green', '✓')} ${safe(value.file)} removed`, ...nextLines(value.next)]
}

const installedTexts = {
  no: 'not installed',
  current: 'installed',
  outdated: 'installed, with other paths or flags than now: install it again',
  foreign: 'a file that this program did not write stands there'
} as const

export function serviceStatusLines(value: OutputOf<Catalogue['serviceStatus']>): readonly string[] {
  return [
    `${safe(value.name)}: ${installedTexts[value.installed]}, ${safe(value.enabled)}, ${safe(value.active)}`,
    `  ${safe(value.file)}`,
    ...nextLines(value.next)
  ]
}

export const servicePrintLines = ({ text }: { readonly text: string }): readonly string[] => verbatim(text.trimEnd())
