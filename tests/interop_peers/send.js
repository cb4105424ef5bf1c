// Sends letters with nodemailer: one JSON object a line on standard input, `transport` and `mail` as nodemailer has them; the
// letter itself is in `file`. Prints who was accepted and refused, a JSON object a line.
'use strict';

const fs = require('fs');
const nodemailer = require('nodemailer');

async function main() {
    for (const line of fs.readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
        const { transport, mail, file } = JSON.parse(line);
        const sender = nodemailer.createTransport(transport);
        mail.raw = fs.readFileSync(file);
        try {
            const { accepted, rejected, response } = await sender.sendMail(mail);
            console.log(JSON.stringify({ accepted, rejected, response }));
        } catch (error) {
            console.log(JSON.stringify({ error: error.message, code: error.responseCode }));
        }
        sender.close();
    }
}

main();
