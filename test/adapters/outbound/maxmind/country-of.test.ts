import t from 'tap';
import { countryOf } from '../../../../src/adapters/outbound/maxmind/country-of.ts';

t.test('the shapes in use', async (t) => {
  t.equal(countryOf({ country_code: 'BR' }), 'BR');
  t.equal(countryOf({ country: { iso_code: 'BR' } }), 'BR');
  t.equal(countryOf({ registered_country: { iso_code: 'BR' } }), 'BR');
  t.equal(countryOf({ country: { iso_code: 'BR' }, registered_country: { iso_code: 'US' } }), 'BR', 'where it is used');
  t.equal(countryOf({ country: { iso_code: '' }, registered_country: { iso_code: 'US' } }), 'US');
  t.equal(countryOf({ country_code: 'br' }), 'BR');
});

t.test('other shapes and codes are no country', async (t) => {
  for (const record of [null, undefined, 0, 'BR', [], ['BR'], {}, { country: null }, { country: 'Brazil' }]) {
    t.equal(countryOf(record), null, JSON.stringify(record));
  }
  for (const code of [
    '',
    'B',
    'BRA',
    '--',
    'B1',
    'ß',
    'ßß',
    'ıs',
    ' BR',
    'BR\n',
    7,
    null,
    ['BR'],
    { iso_code: 'BR' },
  ]) {
    t.equal(countryOf({ country_code: code }), null, JSON.stringify(code));
    t.equal(countryOf({ country: { iso_code: code } }), null, JSON.stringify(code));
  }
});

t.test('what every object inherits is no field', async (t) => {
  t.equal(countryOf(Object.create({ country_code: 'BR' })), null);
});
