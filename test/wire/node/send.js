// send.js PORT LOGIN PASSWORD TO FILE: sends the file as it is through nodemailer, with STARTTLS.
const { readFileSync } = require('fs');
const { createTransport } = require('nodemailer');
const [port, user, pass, to, file] = process.argv.slice(2);
createTransport({ host: '127.0.0.1', port: Number(port), requireTLS: true, auth: { user, pass },
  tls: { rejectUnauthorized: false } })
  .sendMail({ envelope: { from: user, to: [to] }, raw: readFileSync(file) })
  .catch((error) => { console.error(error.message); process.exit(1); });
