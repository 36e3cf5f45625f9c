/** Making an account, signing in, and the sentences the app shows when that does not work. */
import { expect, expectRefused, expectSame, expectSentence } from '../checks.mjs';

const PASSWORD = 'Correct-Horse-42!';
/** What the app says when it takes a field for missing; wrong when the person did fill it in. */
const NOT_SPECIFIED = ['Username not specified', 'Email not specified', 'Password not specified'];

const email = (name) => `${name}@example.org`;

async function expectSignedIn(phone, outcome, name) {
  expectSame(outcome.shown, null, 'no error on the screen, so');
  expectSame(outcome.screen, 'inside', 'the screen');
  expect(/^[\x21-\x7e]{20,}$/.test(phone.token ?? ''), 'a token of printable characters', phone.token);
  const { data } = await phone.checkToken();
  expectSame(data.username, name, 'check_token: username');
}

export async function register(run) {
  const name = run.name('alice');
  await run.step('register says which field is missing', async () => {
    const attempts = [
      ['', email(name), PASSWORD, 'Username not specified'],
      [name, '', PASSWORD, 'Email not specified'],
      [name, 'alice at example', PASSWORD, 'Invalid email address'],
      [name, email(name), '', 'Password not specified'],
    ];
    for (const [username, address, password, wanted] of attempts) {
      const { shown } = await run.phone().register(username, address, password, '');
      expectSame(shown, wanted, 'the app shows');
    }
  });
  await run.step('register explains a name or a password that will not do', async () => {
    for (const [username, password] of [['../../etc', PASSWORD], [name, 'a']]) {
      const { shown } = await run.phone().register(username, email(name), password, '');
      expectSentence(shown, `register ${username} with ${password}: the app shows`);
      expect(!NOT_SPECIFIED.includes(shown), 'a sentence in non_field_errors[0] (the field was filled in)', shown);
    }
  });
  run.alice = run.phone();
  await run.step('register alice', async () => {
    const outcome = await run.alice.register(name, email(name), PASSWORD, '+41790000000');
    await expectSignedIn(run.alice, outcome, name);
  });
  await run.step('register the same again is explained', async () => {
    const twins = [
      [name, email(`other_${name}`)], [run.name('other'), email(name)], [name.toUpperCase(), email(`third_${name}`)],
    ];
    for (const [username, address] of twins) {
      const { shown } = await run.phone().register(username, address, PASSWORD, '');
      expectSentence(shown, `register ${username}, ${address} again: the app shows`);
      expect(/exist|already|taken|in use/i.test(shown), 'a sentence that says it exists already', shown);
    }
  });
}

export async function login(run) {
  const name = run.name('alice');
  await run.step('the app started again knows no token after register', async () => {
    expectSame((await run.alice.splash()).screen, 'login', 'the screen');
  });
  await run.step('login says what is missing or wrong', async () => {
    const phone = run.phone();
    expectSame((await phone.login('', PASSWORD)).shown, 'Username not specified', 'the app shows');
    expectSame((await phone.login(name, '')).shown, 'Password not specified', 'the app shows');
    const wrong = (await phone.login(name, 'Wrong-Horse-42!')).shown;
    expectSentence(wrong, 'wrong password: the app shows');
    const unknown = (await phone.login(run.name('nobody'), PASSWORD)).shown;
    expectSame(unknown, wrong, 'for an unknown name the same as for a wrong password:');
    expectSame(phone.token, null, 'the token after that');
    return { shown: wrong };
  });
  await run.step('login', async () => {
    await expectSignedIn(run.alice, await run.alice.login(name, PASSWORD), name);
  });
  await run.step('the app started again is signed in', async () => {
    const outcome = await run.alice.splash();
    expectSame(outcome.screen, 'inside', 'the screen');
    expectSame(outcome.username, name, 'check_token: username');
  });
  await run.step('without a token, or with a wrong one, check_token answers 401', async () => {
    await expectRefused(run.phone().checkToken(), [401], 'check_token without a token');
    const phone = run.phone();
    phone.secureStore.set('user_token', '0123456789abcdef0123456789abcdef01234567');
    expectSame((await phone.splash()).screen, 'login', 'the screen');
    expectSame(phone.secureStore.size, 0, 'tokens left in the store');
  });
}

export async function others(run) {
  for (const person of ['bob', 'carol']) {
    run[person] = run.phone();
    await run.step(`register ${person}, without a phone number`, async () => {
      const name = run.name(person);
      await expectSignedIn(run[person], await run[person].register(name, email(name), PASSWORD, ''), name);
    });
  }
  await run.step('bob signs in as well', async () => {
    await expectSignedIn(run.bob, await run.bob.login(run.bob.username, PASSWORD), run.bob.username);
  });
}

export async function signInAgain(phone, name) {
  await expectSignedIn(phone, await phone.login(name, PASSWORD), name);
}
