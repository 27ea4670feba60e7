import { z } from 'zod';
import { CATALOGUE, familyOf, type Method, methodNames } from '../protocol/commands/catalogue.ts';
import { paramTypes } from './param-types.ts';

const BEGIN = '<!-- commands:begin -->';
const END = '<!-- commands:end -->';

/** The README with the reference of the catalogue between its marker lines. Throws if they are missing. */
export function withReference(readme: string): string {
  const begin = readme.indexOf(`${BEGIN}\n`);
  const end = readme.indexOf(END, begin);
  if (begin < 0 || end < 0) {
    throw new Error(`README.md needs a line ${BEGIN} and after it a line ${END}`);
  }
  const head = readme.slice(0, begin + BEGIN.length);
  return `${head}\n\n${commandReference()}\n${readme.slice(end)}`;
}

/** One table per family, in the catalogue's order. */
function commandReference(): string {
  const families = [...new Set(methodNames().map(familyOf))];
  return families.map(familyTable).join('\n');
}

function familyTable(family: string): string {
  const rows = methodNames()
    .filter((method) => familyOf(method) === family)
    .map(methodRow);
  return [
    `### \`${family}\``,
    '',
    '| method | params | access | destructive | what it does |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}

function methodRow(method: Method): string {
  const { summary, access, destructive, params } = CATALOGUE[method];
  const types = paramTypes(z.toJSONSchema(params, { io: 'input' }));
  const cells = [
    `\`${method}\``,
    types.map((type) => `\`${type}\``).join('<br>') || '–',
    access,
    destructive ? 'yes' : '',
    summary,
  ];
  return `| ${cells.map(tableCell).join(' | ')} |`;
}

/** In a table a bar ends the cell, even inside a code span. */
function tableCell(text: string): string {
  return text.replaceAll('|', '\\|');
}
