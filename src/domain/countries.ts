import type { GeoInfo } from './entities.ts';
import type { CountryCode, RegionCode } from './value-objects.ts';

/**
 * Every ISO 3166-1 alpha-2 code by region, and XK. Drawn by the UN M49 areas, with these departures, each towards where
 * a country's cables run: Cyprus and the Caucasus are `eu`; Iran is `me`; Afghanistan and all of Central Asia are `ap`.
 * XK (Kosovo) is a user-assigned code, not one of the 249, but GeoIP databases use it. Antarctica, in no M49 area, is
 * `sa`: its largest share of stations and their uplinks hang off Chile and Argentina.
 */
const CODES: Readonly<Record<RegionCode, string>> = {
  sa: 'AQ AR BO BR BV CL CO EC FK GF GS GY PE PY SR UY VE',
  us: `AG AI AW BB BL BM BQ BS BZ CA CR CU CW DM DO GD GL GP GT HN HT JM KN KY LC MF MQ MS MX NI PA PM PR SV SX TC TT US
    VC VG VI`,
  eu: `AD AL AM AT AX AZ BA BE BG BY CH CY CZ DE DK EE ES FI FO FR GB GE GG GI GR HR HU IE IM IS IT JE LI LT LU LV MC MD
    ME MK MT NL NO PL PT RO RS RU SE SI SJ SK SM UA VA XK`,
  ap: `AF AS AU BD BN BT CC CK CN CX FJ FM GU HK HM ID IN JP KG KH KI KP KR KZ LA LK MH MM MN MO MP MV MY NC NF NP NR NU
    NZ PF PG PH PK PN PW SB SG TH TJ TK TL TM TO TV TW UM UZ VN VU WF WS`,
  af: `AO BF BI BJ BW CD CF CG CI CM CV DJ DZ EG EH ER ET GA GH GM GN GQ GW IO KE KM LR LS LY MA MG ML MR MU MW MZ NA NE
    NG RE RW SC SD SH SL SN SO SS ST SZ TD TF TG TN TZ UG YT ZA ZM ZW`,
  me: 'AE BH IL IQ IR JO KW LB OM PS QA SA SY TR YE',
};

const GEO_INFO: ReadonlyMap<CountryCode, GeoInfo> = new Map(
  Object.entries(CODES).flatMap(([region, codes]) =>
    codes.split(/\s+/).map((country): [CountryCode, GeoInfo] => [country, { country, region: region as RegionCode }]),
  ),
);

/** Every code of the table, in no particular order. */
export const COUNTRY_CODES: readonly CountryCode[] = [...GEO_INFO.keys()];

const CODE_OF_NUMBER: ReadonlyMap<number, CountryCode> = new Map(
  COUNTRY_CODES.map((code) => [numberOfCountry(code), code]),
);

/** The region of a country, or `null` for text that is no code of the table. Codes are upper case. */
export function regionOf(country: CountryCode): RegionCode | null {
  return GEO_INFO.get(country)?.region ?? null;
}

/** Whether `text` is an ISO 3166-1 alpha-2 code in upper case, or XK. */
export function isCountryCode(text: string): text is CountryCode {
  return GEO_INFO.has(text);
}

/** What follows from a country, always the same object; `null` for none, and for text that is no code of the table. */
export function geoInfoOf(country: CountryCode | null): GeoInfo | null {
  return country === null ? null : (GEO_INFO.get(country) ?? null);
}

/** The two letters of a code in 16 bits, for columns and records; 0: no country. */
export function numberOfCountry(country: CountryCode | null): number {
  return country === null ? 0 : (country.charCodeAt(0) << 8) | country.charCodeAt(1);
}

/** The code that a number stands for, one string for all that are of the table. */
export function countryOf(number: number): CountryCode | null {
  return number === 0 ? null : (CODE_OF_NUMBER.get(number) ?? String.fromCharCode(number >> 8, number & 255));
}
