//! The controls, by the ids that METADATA uses, and what of sealtail speaks for each. PCI DSS is 4.0.1 (its chapter 10 has
//! the numbers of 4.0, which are not those of 3.2.1); NIST is SP 800-53 revision 5; ISO 27001 is the edition of 2022.

use super::Control;

/// What the chain shows, in words that several controls share.
const TAMPER: &str =
    "verify: each line's tag, the Merkle tree and signed checkpoints; a change, removal or insertion is an alarm";
const AWAY: &str =
    "receipts: each batch is durable in a store of append only, signed by the store, before the host lets it go";
const LIVE: &str =
    "heartbeats, gap and missed lines: an agent that stopped is SILENCE, a line that could not be had is in the chain";
const COMPLETE: &str = "sequence numbers and cursors: no line of a source is lost unsaid";

const fn rules(id: &'static str, title: &'static str) -> Control {
    Control { id, title, chain: None, limit: None }
}

const fn chain(id: &'static str, title: &'static str, chain: &'static str) -> Control {
    Control { id, title, chain: Some(chain), limit: None }
}

const fn beyond(id: &'static str, title: &'static str, limit: &'static str) -> Control {
    Control { id, title, chain: None, limit: Some(limit) }
}

const fn in_part(id: &'static str, title: &'static str, chain: &'static str, limit: &'static str) -> Control {
    Control { id, title, chain: Some(chain), limit: Some(limit) }
}

/// All controls that are known, sorted by framework as written here.
pub(super) const CONTROLS: &[Control] = &[
    rules("PCI-DSS-3.4.1", "PAN is masked when displayed"),
    rules("PCI-DSS-3.5.1", "PAN is unreadable anywhere it is stored"),
    rules("PCI-DSS-8.3.2", "Authentication factors are unreadable in transmission and storage"),
    rules("PCI-DSS-8.3.4", "Invalid authentication attempts lock the account"),
    rules("PCI-DSS-8.4.2", "Multi-factor authentication for access to the CDE"),
    chain("PCI-DSS-10.2.1", "Audit logs are enabled and active", LIVE),
    rules("PCI-DSS-10.2.1.1", "Individual user access to cardholder data is logged"),
    rules("PCI-DSS-10.2.1.2", "Actions with administrative access are logged"),
    rules("PCI-DSS-10.2.1.3", "Access to audit logs is logged"),
    rules("PCI-DSS-10.2.1.4", "Invalid logical access attempts are logged"),
    rules("PCI-DSS-10.2.1.5", "Changes to identification and authentication credentials are logged"),
    in_part(
        "PCI-DSS-10.2.1.6",
        "Starting, stopping and pausing of audit logs is logged",
        LIVE,
        "a log of another program that stops without a line about it",
    ),
    rules("PCI-DSS-10.2.1.7", "Creation and deletion of system-level objects is logged"),
    in_part(
        "PCI-DSS-10.2.2",
        "Audit logs record user, event, time, result, origin and object",
        "each line has its host, source and time of reading",
        "whether a line names user and result is up to the program that wrote it",
    ),
    beyond(
        "PCI-DSS-10.3.1",
        "Read access to audit logs is limited to those with a need",
        "who may read the store is set there; rules find reads of the host's logs where auditd watches them",
    ),
    chain("PCI-DSS-10.3.2", "Audit logs are protected from modification by individuals", TAMPER),
    chain("PCI-DSS-10.3.3", "Audit logs are promptly backed up to a central server that is difficult to modify", AWAY),
    chain("PCI-DSS-10.3.4", "Change detection on audit logs", TAMPER),
    beyond("PCI-DSS-10.4.1", "Audit logs are reviewed at least once daily", "whether people look is not in a log"),
    in_part(
        "PCI-DSS-10.4.1.1",
        "Automated mechanisms perform audit log reviews",
        "verdicts stand in the chain beside the lines they were passed on",
        "that somebody acts on them is not in a log",
    ),
    in_part(
        "PCI-DSS-10.5.1",
        "Audit logs are kept 12 months, 3 of them at hand",
        "verify --since: what of a stream is there, and that nothing is missing",
        "how long the store keeps is set there",
    ),
    rules("PCI-DSS-10.6.1", "Clocks are synchronised"),
    beyond(
        "PCI-DSS-10.6.2",
        "Systems are set to the correct and consistent time",
        "a log can't show how NTP is configured; the store's receipts bound the host's clock from outside",
    ),
    rules("PCI-DSS-10.6.3", "Time settings and data are protected"),
    chain("PCI-DSS-10.7.1", "Failures of critical security controls are detected (service providers)", LIVE),
    chain("PCI-DSS-10.7.2", "Failures of critical security controls are detected, alerted and addressed", LIVE),
    beyond(
        "PCI-DSS-10.7.3",
        "Failures of critical security controls are responded to promptly",
        "a response is made by people; the chain shows when the failure began and ended",
    ),
    rules("PCI-DSS-11.5.2", "Change detection on critical files"),
    rules("HIPAA-164.312(a)(1)", "Access control"),
    in_part("HIPAA-164.312(b)", "Audit controls", COMPLETE, "which systems hold ePHI is for you to say"),
    chain("HIPAA-164.312(c)(1)", "Integrity: no improper alteration or destruction", TAMPER),
    chain("HIPAA-164.312(c)(2)", "Mechanism to authenticate that ePHI was not altered", TAMPER),
    rules("HIPAA-164.312(d)", "Person or entity authentication"),
    rules("GDPR-5", "Principles: minimisation, integrity and confidentiality"),
    beyond(
        "GDPR-25",
        "Data protection by design and by default",
        "rules find personal data in logs; that it is not logged is design",
    ),
    beyond(
        "GDPR-30",
        "Records of processing activities",
        "the record is a document; rules find where logs hold personal data",
    ),
    in_part("GDPR-32", "Security of processing", TAMPER, "what is appropriate is a judgement"),
    in_part(
        "GDPR-33",
        "Notification of a breach within 72 hours",
        "signed times say when a line was read and stored",
        "the notification itself is not in a log",
    ),
    rules("SOC2-CC6.1", "Logical access security"),
    rules("SOC2-CC6.2", "Users are registered and authorised before access, and removed"),
    rules("SOC2-CC6.3", "Access is given, changed and removed by role"),
    rules("SOC2-CC6.6", "Protection against threats from outside"),
    rules("SOC2-CC6.8", "Unauthorised or malicious software is prevented or detected"),
    rules("SOC2-CC7.1", "Changes of configuration and new vulnerabilities are detected"),
    in_part("SOC2-CC7.2", "Anomalies are monitored", LIVE, "anomalies that no rule describes"),
    in_part(
        "SOC2-CC7.3",
        "Security events are evaluated",
        TAMPER,
        "the evaluation is made by people; what they evaluate is shown to be whole",
    ),
    beyond("SOC2-CC7.4", "Incidents are responded to", "a response is made by people"),
    rules("SOC2-CC8.1", "Changes are authorised, tested and approved"),
    rules("ISO27001-A.5.16", "Identity management"),
    rules("ISO27001-A.5.18", "Access rights"),
    chain("ISO27001-A.5.28", "Collection of evidence", TAMPER),
    chain("ISO27001-A.5.33", "Protection of records", AWAY),
    rules("ISO27001-A.8.2", "Privileged access rights"),
    rules("ISO27001-A.8.5", "Secure authentication"),
    rules("ISO27001-A.8.11", "Data masking"),
    rules("ISO27001-A.8.12", "Data leakage prevention"),
    in_part("ISO27001-A.8.15", "Logging", TAMPER, "whether every event that matters is logged at all"),
    in_part("ISO27001-A.8.16", "Monitoring activities", LIVE, "that somebody acts on it"),
    rules("ISO27001-A.8.17", "Clock synchronisation"),
    rules("ISO27001-A.8.19", "Installation of software on operational systems"),
    rules("ISO27001-A.8.32", "Change management"),
    rules("NIST-800-53-AC-2", "Account management"),
    rules("NIST-800-53-AC-6(9)", "Least privilege: log use of privileged functions"),
    rules("NIST-800-53-AC-7", "Unsuccessful logon attempts"),
    rules("NIST-800-53-AU-2", "Event logging"),
    in_part(
        "NIST-800-53-AU-3",
        "Content of audit records",
        "each line has its host, source and time of reading",
        "whether a line names user and result is up to the program that wrote it",
    ),
    chain(
        "NIST-800-53-AU-4",
        "Audit log storage capacity",
        "a full spool stops reading and drops nothing; a heartbeat tells how full it is",
    ),
    chain("NIST-800-53-AU-5", "Response to audit logging process failures", LIVE),
    in_part(
        "NIST-800-53-AU-6",
        "Audit record review, analysis and reporting",
        "verdicts stand in the chain beside the lines they were passed on",
        "that people review is not in a log",
    ),
    chain(
        "NIST-800-53-AU-7",
        "Audit record reduction and report generation",
        "cat gives each line back byte for byte, with its verdicts",
    ),
    in_part(
        "NIST-800-53-AU-8",
        "Time stamps",
        "each line has the time of reading and a steady clock beside it; receipts have the store's",
        "how exact the host's clock is",
    ),
    chain("NIST-800-53-AU-9", "Protection of audit information", TAMPER),
    chain("NIST-800-53-AU-10", "Non-repudiation", "checkpoints are signed by a key that the host's key endorsed"),
    in_part("NIST-800-53-AU-11", "Audit record retention", AWAY, "how long the store keeps is set there"),
    in_part("NIST-800-53-AU-12", "Audit record generation", COMPLETE, "which programs log is for you to set"),
    rules("NIST-800-53-CM-11", "User-installed software"),
    rules("NIST-800-53-IA-2", "Identification and authentication of users"),
    rules("NIST-800-53-IA-5", "Authenticator management"),
    rules("NIST-800-53-SI-4", "System monitoring"),
    in_part(
        "NIST-800-53-SI-7",
        "Software, firmware and information integrity",
        TAMPER,
        "software that no integrity checker looks at",
    ),
    beyond(
        "CIS-K8S-3.2.1",
        "A minimal audit policy is created",
        "a log shows that there is one, not that it is enough",
    ),
    rules("CIS-K8S-3.2.2", "The audit policy covers key security concerns"),
];
