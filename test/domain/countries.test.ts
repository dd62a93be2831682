import t from 'tap';
import {
  COUNTRY_CODES,
  countryOf,
  geoInfoOf,
  isCountryCode,
  numberOfCountry,
  regionOf,
} from '../../src/domain/countries.ts';
import { isRegionCode, type RegionCode } from '../../src/domain/value-objects.ts';

const inRegion = (region: RegionCode) => COUNTRY_CODES.filter((code) => regionOf(code) === region);

t.test('every ISO 3166-1 code and XK stands in the table once', async (t) => {
  t.equal(COUNTRY_CODES.length, 249 + 1);
  t.equal(new Set(COUNTRY_CODES).size, COUNTRY_CODES.length, 'a code in two regions would be counted once');
  t.ok(COUNTRY_CODES.includes('XK'));
  t.same(
    COUNTRY_CODES.filter((code) => !/^[A-Z]{2}$/.test(code)),
    [],
  );
  t.same(
    COUNTRY_CODES.filter((code) => !isRegionCode(regionOf(code) ?? '')),
    [],
  );
});

t.test('each region is as large as the UN M49 areas that it is drawn from', async (t) => {
  const sizes: Record<RegionCode, number> = {
    sa: 16 + 1, // South America and Antarctica
    us: 5 + 8 + 28, // Northern America, Central America, the Caribbean
    eu: 51 + 4 + 1, // Europe; Cyprus and the Caucasus; Kosovo
    ap: 8 + 11 + 5 + 8 + 29, // Eastern Asia and Taiwan, South-eastern, Central, Southern Asia but Iran, Oceania
    af: 60,
    me: 18 - 4 + 1, // Western Asia but Cyprus and the Caucasus, and Iran
  };
  for (const [region, size] of Object.entries(sizes)) t.equal(inRegion(region as RegionCode).length, size, region);
});

t.test('the names by which the runtime knows the codes agree with the table', async (t) => {
  const names = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
  t.same(
    COUNTRY_CODES.filter((code) => names.of(code) === undefined),
    [],
  );
});

t.test('spot checks', async (t) => {
  const regions: Record<RegionCode, string> = {
    sa: 'BR AR CL CO PE VE UY GF FK',
    us: 'US CA MX PA CU JM PR GL BM',
    eu: 'DE FR GB PT SE PL UA RU BG RO RS BA MK AL MD LT EE IS MT CY XK VA',
    ap: 'JP CN IN PK AF BD AU NZ FJ SG ID KZ UZ MN TW GU PF',
    af: 'ZA NG EG MA DZ TN LY SD ET KE CD AO MU RE SH EH SS',
    me: 'AE SA IL IR IQ TR YE QA JO LB SY OM KW BH PS',
  };
  for (const [region, codes] of Object.entries(regions)) {
    for (const code of codes.split(' ')) t.equal(regionOf(code), region, code);
  }
});

t.test('what is no code has no region', async (t) => {
  for (const text of ['', 'ZZ', 'XX', 'EU', 'UK', 'br', 'BRA', 'B', 'constructor', '__proto__']) {
    t.equal(isCountryCode(text), false, text);
    t.equal(regionOf(text), null, text);
  }
  t.equal(isCountryCode('BR'), true);
  t.equal(isCountryCode('XK'), true);
});

t.test('a code is a number of 16 bits and back, no country is 0', async (t) => {
  for (const code of [null, 'QQ', ...COUNTRY_CODES]) t.equal(countryOf(numberOfCountry(code)), code);
  t.equal(numberOfCountry(null), 0);
  t.equal(Math.max(...COUNTRY_CODES.map(numberOfCountry)) >>> 16, 0);
});

t.test(
  'what follows from a country is one object; nothing follows from none, and from text that is no code',
  async (t) => {
    t.same(geoInfoOf('EG'), { country: 'EG', region: 'af' });
    t.equal(geoInfoOf('EG'), geoInfoOf('EG'));
    for (const none of [null, 'QQ', 'eg']) t.equal(geoInfoOf(none), null);
  },
);
